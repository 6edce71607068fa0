//! Uniform scale sets: numbered instances of one priority, and otherwise the same evictions, counts and actions.

use super::*;

fn uniform(options: Options, n: u32, policy: EvictionPolicy) -> Region {
    let mut region = region(options);
    let change = SetChange {
        mode: Some(OrchestrationMode::Uniform),
        mix: None,
        eviction_policy: Some(policy),
        ..pool(n, 0)
    };
    region
        .put(RG, "render", &change, Precondition::None)
        .unwrap();
    rest(&mut region);
    region
}

fn powers(region: &Region) -> Vec<(String, &'static str)> {
    let all = set(region).by_age();
    all.iter()
        .map(|i| (set(region).instance_id(&i.name).to_owned(), i.power_state()))
        .collect()
}

fn expected(all: &[(&str, &'static str)]) -> Vec<(String, &'static str)> {
    all.iter().map(|(id, p)| ((*id).to_owned(), *p)).collect()
}

#[test]
fn instances_are_numbered_and_called_by_their_number() {
    // [REC cap 8]
    let mut region = uniform(Options::default(), 3, EvictionPolicy::Delete);
    assert_eq!(spot(&region), ["render_0", "render_1", "render_2"]);
    region.delete_instances(RG, "render", &["1"]).unwrap();
    rest(&mut region);
    assert_eq!(
        (spot(&region), set(&region).capacity),
        (vec!["render_0".into(), "render_2".into()], 2)
    );
    for not_an_id in ["1", "render_2", "02"] {
        let refusal = region
            .start_instances(RG, "render", &[not_an_id])
            .unwrap_err();
        assert_eq!(
            (refusal.status, refusal.code),
            (400, "InvalidParameter"),
            "{not_an_id}"
        );
    }
}

#[test]
fn numbers_count_on_or_are_used_again() {
    // [DOC virtual-machine-scale-sets-instance-ids] both are allowed.
    for (reuses, third) in [(false, "render_3"), (true, "render_1")] {
        let options = Options {
            reuses_instance_ids: reuses,
            ..Options::default()
        };
        let mut region = uniform(options, 3, EvictionPolicy::Delete);
        region.delete_instances(RG, "render", &["1"]).unwrap();
        rest(&mut region);
        region
            .patch(RG, "render", &capacity(3), Precondition::None)
            .unwrap();
        rest(&mut region);
        assert_eq!(spot(&region), ["render_0", "render_2", third]);
    }
}

#[test]
fn all_instances_have_one_priority_and_the_mode_stays() {
    let mut region = region(Options::default());
    let mixed = SetChange {
        mode: Some(OrchestrationMode::Uniform),
        ..pool(3, 1)
    };
    let refusal = region
        .put(RG, "render", &mixed, Precondition::None)
        .unwrap_err();
    assert_eq!(
        (refusal.code, refusal.target),
        ("InvalidParameter", Some("priorityMixPolicy"))
    );
    for (mode, other) in [
        (OrchestrationMode::Uniform, OrchestrationMode::Flexible),
        (OrchestrationMode::Flexible, OrchestrationMode::Uniform),
    ] {
        let of = |mode| SetChange {
            mode: Some(mode),
            mix: None,
            ..pool(2, 0)
        };
        let name = mode.as_str();
        region.put(RG, name, &of(mode), Precondition::None).unwrap();
        rest(&mut region);
        let refusal = region
            .put(RG, name, &of(other), Precondition::None)
            .unwrap_err();
        assert_eq!(
            (refusal.code, refusal.target),
            ("PropertyChangeNotAllowed", Some("orchestrationMode"))
        );
        assert_eq!(region.set(RG, name).unwrap().running().spot, 2);
    }
}

#[test]
fn a_delete_eviction_takes_the_capacity_and_a_raised_one_brings_it_back() {
    let mut region = uniform(Options::default(), 3, EvictionPolicy::Delete);
    let etag = set(&region).etag;
    region.simulate_eviction(RG, "render_1").unwrap();
    rest(&mut region);
    assert_eq!(
        (spot(&region), set(&region).capacity),
        (vec!["render_0".into(), "render_2".into()], 2)
    );
    assert!(set(&region).etag > etag);
    region
        .patch(RG, "render", &capacity(3), Precondition::None)
        .unwrap();
    rest(&mut region);
    assert_eq!(set(&region).running().spot, 3);
}

#[test]
fn a_deallocate_eviction_keeps_instance_and_capacity_until_somebody_starts_it() {
    // [REC cap 7], [ISS azure-docs#41748]
    let mut region = uniform(Options::default(), 3, EvictionPolicy::Deallocate);
    region.evict(RG, "render_1");
    rest(&mut region);
    region.advance(region.now() + 10 * 60_000);
    let down = expected(&[("0", "running"), ("1", "deallocated"), ("2", "running")]);
    assert_eq!((powers(&region), set(&region).capacity), (down, 3));
    region
        .patch(RG, "render", &capacity(4), Precondition::None)
        .unwrap();
    rest(&mut region);
    let grown = expected(&[
        ("0", "running"),
        ("1", "deallocated"),
        ("2", "running"),
        ("3", "running"),
    ]);
    assert_eq!(powers(&region), grown, "a scale-out leaves it");
    region.start_instances(RG, "render", &["1"]).unwrap();
    rest(&mut region);
    assert_eq!(set(&region).running().spot, 4);
}

#[test]
fn batches_go_by_number_whatever_flexible_sets_may_do() {
    let options = Options {
        flexible_takes_batches: false,
        ..Options::default()
    };
    let mut region = uniform(options, 3, EvictionPolicy::Deallocate);
    region
        .deallocate_instances(RG, "render", &["0", "2"])
        .unwrap();
    rest(&mut region);
    let down = expected(&[("0", "deallocated"), ("1", "running"), ("2", "deallocated")]);
    assert_eq!(powers(&region), down);
    region.start_instances(RG, "render", &[]).unwrap();
    rest(&mut region);
    assert_eq!(set(&region).running().spot, 3);
}

#[test]
fn an_old_instance_keeps_its_model_until_it_is_upgraded() {
    let mut region = uniform(Options::default(), 2, EvictionPolicy::Delete);
    let change = SetChange {
        model_changed: true,
        ..SetChange::default()
    };
    region
        .patch(RG, "render", &change, Precondition::None)
        .unwrap();
    rest(&mut region);
    region
        .act_on_instances(RG, "render", InstanceAction::ManualUpgrade, &["1"])
        .unwrap();
    rest(&mut region);
    let revisions = |r: &Region| -> Vec<u32> {
        let all = set(r).by_age();
        all.iter().map(|i| i.model.revision).collect()
    };
    assert_eq!(revisions(&region), [1, 2]);
    assert_eq!(set(&region).running().spot, 2);
}
