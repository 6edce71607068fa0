//! Deallocate evictions, and what can be asked of instances that exist.

use super::*;

fn restartable(options: Options, n: u32) -> Region {
    let mut region = region(options);
    let change = SetChange {
        eviction_policy: Some(EvictionPolicy::Deallocate),
        ..pool(n, 0)
    };
    region
        .put(RG, "render", &change, Precondition::None)
        .unwrap();
    rest(&mut region);
    region
}

fn views(region: &Region) -> Vec<(&'static str, &'static str)> {
    set(region)
        .by_age()
        .iter()
        .map(|i| (i.provisioning_state(), i.power_state()))
        .collect()
}

fn status(region: &Region, operation: u64) -> Status {
    region.operation(operation).unwrap().status.clone()
}

fn cores(region: &Region) -> u32 {
    let usages = region.usages();
    usages
        .iter()
        .find(|u| u.name == SPOT_CORES)
        .unwrap()
        .current
}

const UP: (&str, &str) = ("Succeeded", "running");
const DOWN: (&str, &str) = ("Succeeded", "deallocated");

#[test]
fn a_deallocate_eviction_leaves_instance_capacity_and_quota_as_they_were() {
    // [REC cap 7, 9] and [DOC spot-priority-mix scenario 2]
    let mut region = restartable(Options::default(), 3);
    let (before, name) = (cores(&region), spot(&region)[0].clone());
    assert!(region.evict(RG, &name));
    let phases = |r: &Region| r.instance(RG, &name).unwrap().1.power_state();
    let mut seen = vec![phases(&region)];
    while let Some(next) = region.next_event() {
        region.advance(next);
        if seen.last() != Some(&phases(&region)) {
            seen.push(phases(&region));
        }
    }
    assert_eq!(seen, ["running", "deallocating", "deallocated"]);
    assert_eq!(views(&region), [DOWN, UP, UP]);
    assert_eq!((set(&region).capacity, cores(&region)), (3, before));
    assert_eq!(
        set(&region).provisioning_state(),
        ProvisioningState::Succeeded
    );
    region.advance(region.now() + 10 * 60_000);
    assert_eq!(
        views(&region)[0],
        DOWN,
        "[ISS azure-docs#41748] nobody starts it"
    );
}

#[test]
fn an_evicted_instance_and_one_that_a_user_deallocated_look_the_same() {
    // [REC cap 7] no marker of any kind.
    let mut region = restartable(Options::small(), 2);
    let names = spot(&region);
    region.evict(RG, &names[0]);
    let operation = region.deallocate_instance(RG, &names[1]).unwrap();
    rest(&mut region);
    region.advance(region.now() + 1);
    assert!(
        region.operation(operation).is_none(),
        "forgotten in a small world"
    );
    let shape = |n: &str| {
        let mut i = region.instance(RG, n).unwrap().1.clone();
        (i.name, i.number) = (String::new(), 0);
        i
    };
    assert_eq!(shape(&names[0]), shape(&names[1]));
}

#[test]
fn a_started_instance_boots_and_starting_a_running_one_does_nothing() {
    let mut region = restartable(Options::default(), 2);
    let names = spot(&region);
    let down = region.deallocate_instances(RG, "render", &[]).unwrap();
    assert_eq!(
        set(&region).provisioning_state(),
        ProvisioningState::Updating
    );
    rest(&mut region);
    assert_eq!(
        (status(&region, down), views(&region)),
        (Status::Succeeded, vec![DOWN, DOWN])
    );
    let up = region
        .start_instances(RG, "render", &[&names[0].to_uppercase()])
        .unwrap();
    assert_eq!(views(&region)[0], ("Updating", "starting"));
    rest(&mut region);
    assert_eq!(
        (status(&region, up), views(&region)),
        (Status::Succeeded, vec![UP, DOWN])
    );
    let again = region.start_instance(RG, &names[0]).unwrap();
    assert_eq!(views(&region)[0], UP);
    rest(&mut region);
    assert_eq!(status(&region, again), Status::Succeeded);
}

#[test]
fn a_start_without_capacity_is_refused_at_once_or_fails_inside_its_operation() {
    let mut region = restartable(Options::default(), 1);
    let name = spot(&region)[0].clone();
    region.evict(RG, &name);
    rest(&mut region);
    region.limit_capacity("Standard_D4s_v5", None, Priority::Spot, Some(0));
    let refusal = region.start_instance(RG, &name).unwrap_err();
    assert_eq!((refusal.status, refusal.code), (409, "SkuNotAvailable"));
    assert_eq!(views(&region), [DOWN], "a refusal does nothing");

    region.options_mut().no_capacity = NoCapacity::InsideOperation;
    let operation = region.start_instances(RG, "render", &[&name]).unwrap();
    rest(&mut region);
    assert!(
        matches!(status(&region, operation), Status::Failed(f) if f.code == "AllocationFailed")
    );
    assert_eq!(
        views(&region),
        [("Failed", "deallocated")],
        "[DOC states-billing]"
    );
    assert_eq!(set(&region).capacity, 1);

    region.limit_capacity("Standard_D4s_v5", None, Priority::Spot, Some(1));
    let operation = region.start_instance(RG, &name).unwrap();
    rest(&mut region);
    assert_eq!(
        (status(&region, operation), views(&region)),
        (Status::Succeeded, vec![UP])
    );
    let available = region
        .market
        .available("Standard_D4s_v5", "", Priority::Spot);
    assert_eq!(available, Some(0), "a start takes its place in the market");
}

#[test]
fn a_start_of_several_with_too_few_places_does_what_it_can_and_fails() {
    let mut region = restartable(Options::default(), 3);
    region.deallocate_instances(RG, "render", &[]).unwrap();
    rest(&mut region);
    region.limit_capacity("Standard_D4s_v5", None, Priority::Spot, Some(2));
    let operation = region.start_instances(RG, "render", &[]).unwrap();
    rest(&mut region);
    assert!(matches!(status(&region, operation), Status::Failed(_)));
    assert_eq!(views(&region), [UP, UP, ("Failed", "deallocated")]);
    assert_eq!(set(&region).provisioning_state(), ProvisioningState::Failed);
}

#[test]
fn a_start_above_the_max_price_is_refused_and_stopped_ones_have_kept_their_place() {
    let mut region = restartable(Options::default(), 2);
    let change = SetChange {
        max_price: Some(50_000),
        ..capacity(3)
    };
    region
        .patch(RG, "render", &change, Precondition::None)
        .unwrap();
    rest(&mut region);
    let dear = spot(&region)[2].clone();
    region.deallocate_instance(RG, &dear).unwrap();
    region.power_off_instance(RG, &spot(&region)[0]).unwrap();
    rest(&mut region);
    assert_eq!(views(&region), [("Succeeded", "stopped"), UP, DOWN]);
    region.set_price("Standard_D4s_v5", None, Priority::Spot, 60_000);
    region.limit_capacity("Standard_D4s_v5", None, Priority::Spot, Some(0));
    let refusal = region.start_instance(RG, &dear).unwrap_err();
    assert_eq!(
        (refusal.status, refusal.code),
        (409, "SpotPriceGreaterThanProvidedMaxPrice")
    );
    assert!(
        refusal.message.contains("'0.05 USD'") && refusal.message.contains("'0.06 USD'"),
        "{refusal:?}"
    );
    region.start_instance(RG, &spot(&region)[0]).unwrap();
    rest(&mut region);
    assert_eq!(views(&region), [UP, UP, DOWN]);
}

#[test]
fn what_is_under_way_refuses_and_what_does_not_run_cannot_restart() {
    let mut region = restartable(Options::default(), 2);
    let names = spot(&region);
    region.deallocate_instance(RG, &names[0]).unwrap();
    assert_eq!(
        region.start_instance(RG, &names[0]).unwrap_err().code,
        "Conflict"
    );
    assert_eq!(
        region
            .start_instances(RG, "render", &[&names[0]])
            .unwrap_err()
            .code,
        "Conflict"
    );
    rest(&mut region);
    let refusal = region.restart_instance(RG, &names[0]).unwrap_err();
    assert_eq!((refusal.status, refusal.code), (409, "OperationNotAllowed"));
    assert_eq!(
        region
            .start_instances(RG, "render", &["render_0"])
            .unwrap_err()
            .code,
        "InvalidParameter"
    );
    assert_eq!(region.start_instance(RG, "nobody").unwrap_err().status, 404);
    region
        .patch(RG, "render", &capacity(3), Precondition::None)
        .unwrap();
    assert_eq!(
        region
            .restart_instances(RG, "render", &[&names[1]])
            .unwrap_err()
            .code,
        "Conflict",
        "one write at a time"
    );
}

#[test]
fn a_stopped_spot_instance_can_still_be_evicted_and_a_deallocated_one_cannot() {
    let mut region = restartable(Options::small(), 2);
    let names = spot(&region);
    region.power_off_instance(RG, &names[0]).unwrap();
    region.deallocate_instance(RG, &names[1]).unwrap();
    rest(&mut region);
    assert!(region.evict(RG, &names[0]) && !region.evict(RG, &names[1]));
    rest(&mut region);
    assert_eq!(views(&region), [DOWN, DOWN]);
}

#[test]
fn a_scale_out_leaves_deallocated_instances_and_a_write_below_takes_them_too() {
    // [DOC spot-priority-mix scenario 2] deallocated ones count.
    let mut region = restartable(Options::small(), 3);
    region.evict(RG, &spot(&region)[0]);
    rest(&mut region);
    region
        .put(RG, "render", &capacity(4), Precondition::None)
        .unwrap();
    rest(&mut region);
    assert_eq!(views(&region), [DOWN, UP, UP, UP]);
    region
        .delete_instances(RG, "render", &[&spot(&region)[0]])
        .unwrap();
    rest(&mut region);
    assert_eq!((views(&region), set(&region).capacity), (vec![UP; 3], 3));
}
