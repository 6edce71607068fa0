//! L2: random histories. 10,000 in every test run; `SPOTPOOL_HISTORIES=1000000` (`make laws`) for a million, `SPOTPOOL_SEED=n` for one.

use spotpool_core::planner::plan;
use spotpool_core::twin::history::{Tale, tell, tell_aloud};

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

#[test]
fn random_histories_keep_the_laws_and_reach_what_is_reachable() {
    if let Some(seed) = number("SPOTPOOL_SEED") {
        let mut tale = tell_aloud(seed, &plan);
        println!("{}", std::mem::take(&mut tale.story).join("\n"));
        println!("{tale:#?}");
        assert_eq!(tale.broken, None, "seed {seed}");
        return;
    }
    let count = number("SPOTPOOL_HISTORIES").unwrap_or(10_000);
    let started = std::time::Instant::now();
    let (sum, broken) = std::thread::scope(|scope| {
        let halves: Vec<_> = (0..2)
            .map(|half| scope.spawn(move || run(half, count)))
            .collect();
        halves.into_iter().fold(
            (Tale::default(), Vec::new()),
            |(mut sum, mut broken), half| {
                let (tale, more) = half.join().expect("a history does not panic");
                add(&mut sum, &tale);
                broken.extend(more);
                (sum, broken)
            },
        )
    });
    println!(
        "{count} histories ({} of Uniform sets, {} under the eviction policy Deallocate): {} looks ({} lied to), {} writes ({} lost or unanswered, {} put off), {} evictions, {} restarts, {} instances stopped or deleted by others, {} crashes; {:.1} s",
        sum.uniform,
        sum.deallocate,
        sum.looks,
        sum.lies,
        sum.writes,
        sum.lost_writes,
        sum.throttled,
        sum.evictions,
        sum.restarts,
        sum.meddled,
        sum.crashes,
        started.elapsed().as_secs_f64()
    );
    let first: Vec<_> = broken.iter().take(5).collect();
    assert!(
        broken.is_empty(),
        "{} of {count} histories broke a law; the first:\n{first:#?}\nReplay one with SPOTPOOL_SEED=<seed>",
        broken.len()
    );
}

fn run(half: u64, count: u64) -> (Tale, Vec<(u64, String)>) {
    let (mut sum, mut broken) = (Tale::default(), Vec::new());
    for seed in (half..count).step_by(2) {
        let tale = tell(seed, &plan);
        if let Some(law) = &tale.broken {
            eprintln!("history {seed} broke a law: {law}");
            broken.push((seed, law.to_string()));
        }
        add(&mut sum, &tale);
        if half == 0 && seed > 0 && seed.is_multiple_of(100_000) {
            eprintln!("{seed} of {count} histories, {} broke a law", broken.len());
        }
    }
    (sum, broken)
}

fn add(sum: &mut Tale, tale: &Tale) {
    sum.uniform += tale.uniform;
    sum.deallocate += tale.deallocate;
    sum.looks += tale.looks;
    sum.lies += tale.lies;
    sum.writes += tale.writes;
    sum.lost_writes += tale.lost_writes;
    sum.throttled += tale.throttled;
    sum.evictions += tale.evictions;
    sum.restarts += tale.restarts;
    sum.meddled += tale.meddled;
    sum.crashes += tale.crashes;
}
