//! How many decisions a second: the planner on a pool at rest, after an eviction, and on a thousand instances.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use spotpool_core::planner::{
    Desired, Instance, Memory, Observed, Phase, Provisioning, ScaleSet, plan,
};
use spotpool_core::twin::small_pool;
use spotpool_core::units::{
    Etag, InstanceName, ModelHash, Priority, Seen, Timestamp, VmSize, Zone,
};

const NOW: Timestamp = Timestamp(1_700_000_000_000);

/// A scale set of the pool as a look would show it, with so many instances of each kind.
fn seen(desired: &Desired, regular: u32, spot: u32) -> Observed {
    let one = |n: u32, priority| Instance {
        name: InstanceName(format!("render_{n:08x}")),
        priority,
        phase: Phase::Running,
        vm_size: VmSize::from("Standard_D4s_v5"),
        zone: Zone::from("1"),
        created: Some(NOW),
        price_limit: None,
    };
    let kinds = [(regular, Priority::Regular), (spot, Priority::Spot)];
    let instances = kinds
        .into_iter()
        .flat_map(|(count, priority)| (0..count).map(move |n| (n, priority)));
    let set = ScaleSet {
        capacity: regular + spot,
        base: desired.regular,
        vm_size: VmSize::from("Standard_D4s_v5"),
        max_price: None,
        etag: Etag::from("\"7\""),
        state: Provisioning::Succeeded,
        owner: Some(desired.owner.clone()),
        model: Some(ModelHash::from("m")),
        model_since: Some(NOW),
    };
    Observed {
        set: Seen::Known {
            value: Some(set),
            at: NOW,
        },
        instances: Seen::Known {
            value: instances.map(|(n, priority)| one(n, priority)).collect(),
            at: NOW,
        },
        outcome: None,
    }
}

fn plans(c: &mut Criterion) {
    let mut group = c.benchmark_group("plan");
    group.throughput(Throughput::Elements(1));
    for (name, regular, spot, missing) in [
        ("20 instances at rest", 2, 18, 0),
        ("20 instances, 6 evicted", 2, 18, 6),
        ("1,000 instances at rest", 50, 950, 0),
    ] {
        let desired = small_pool(regular, spot);
        let whole = plan(
            &desired,
            &seen(&desired, regular, spot),
            &Memory::default(),
            NOW,
        );
        let observed = seen(&desired, regular, spot - missing);
        group.bench_function(name, |b| {
            b.iter(|| {
                plan(
                    black_box(&desired),
                    black_box(&observed),
                    black_box(&whole.memory),
                    NOW,
                )
            })
        });
    }
    group.finish();
}

criterion_group!(benches, plans);
criterion_main!(benches);
