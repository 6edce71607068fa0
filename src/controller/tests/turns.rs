//! Whole turns over a simulated cloud that does at once what it is asked: what is done, told and said from apply to deletion.

use super::*;
use crate::api::EventReason;
use crate::clock::Clock;
use crate::cloud::Contents;
use crate::controller::fixtures::{FakeCloud, deleting, pool};
use crate::controller::pools::PoolState;
use crate::controller::turn::{Turn, look_and_plan};
use serde_json::json;
use spotpool_core::planner::{Answer, LoginStep};
use spotpool_core::units::Millis;
use std::time::Duration;

struct Bench {
    pool: SpotPool,
    clock: Clock,
    cloud: FakeCloud,
    state: PoolState,
}

impl Bench {
    fn new(spec: Value) -> Self {
        let clock = Clock::at(NOON);
        Self {
            pool: pool(spec),
            cloud: FakeCloud::at(&clock),
            clock,
            state: PoolState::default(),
        }
    }

    async fn turn(&mut self) -> (Turn, SpotPoolStatus) {
        tokio::time::advance(Duration::from_secs(1)).await;
        self.state.restore(self.pool.status.as_ref());
        let resolved = resolve(&self.pool, Contents::default(), &settings()).unwrap();
        let mut turn = look_and_plan(
            "batch/render",
            &resolved,
            &mut self.state,
            &self.cloud,
            &self.clock,
        )
        .await;
        turn.act(
            "batch/render",
            &resolved,
            &mut self.state,
            &self.cloud,
            &self.clock,
        )
        .await;
        let report = Report {
            pool: &self.pool,
            resolved: &resolved,
            summary: &turn.summary,
            memory: &self.state.memory,
            done: turn.done.as_ref(),
            stuck: self.state.stuck.as_ref().map(|stuck| &stuck.refusal),
            now: self.clock.now(),
        };
        let said = status(&report, &self.state.applied);
        if !matches!(turn.summary.stage, Stage::Gone) {
            check(&said, &self.pool);
        }
        self.state.applied = said.clone();
        (turn, said)
    }

    /// Turns until nothing is left to do.
    async fn settle(&mut self) -> SpotPoolStatus {
        for _ in 0..200 {
            let (turn, said) = self.turn().await;
            if turn.summary.stage == Stage::AtRest {
                return said;
            }
            tokio::time::advance(self.clock.until(turn.next)).await;
        }
        panic!("does not come to rest: {:#?}", self.state.applied);
    }
}

fn told(turn: &Turn) -> Vec<EventReason> {
    turn.happenings.iter().map(|one| one.reason).collect()
}

#[tokio::test(start_paused = true)]
async fn creates_says_so_and_comes_to_rest() {
    let mut bench = Bench::new(farm());
    let (turn, said) = bench.turn().await;
    assert_eq!(told(&turn), [EventReason::ScaleSetCreated]);
    assert_eq!(brief(&said, ConditionType::Reconciling), "True Creating");
    assert_eq!(
        brief(&said, ConditionType::Ready),
        "False BelowMinAvailable"
    );
    let action = said.last_action.unwrap();
    assert_eq!(
        (action.action.as_str(), action.reason.as_str()),
        ("CreateScaleSet", "ScaleSetCreated")
    );
    assert_eq!(
        said.spot.unwrap().replicas,
        18,
        "what Azure accepted to provide is held"
    );
    let said = bench.settle().await;
    assert_eq!(brief(&said, ConditionType::Ready), "True AvailableEnough");
    assert_eq!(brief(&said, ConditionType::Reconciling), "absent");
    assert_eq!(bench.cloud.asked(), ["CreateScaleSet"]);
}

#[tokio::test(start_paused = true)]
async fn at_rest_says_the_same_for_ever_and_writes_nothing() {
    let mut bench = Bench::new(farm());
    let first = bench.settle().await;
    let second = bench.settle().await;
    tokio::time::advance(Duration::from_secs(3600)).await;
    let third = bench.settle().await;
    assert_eq!(first, second);
    assert_eq!(second, third);
    assert_eq!(bench.cloud.asked(), ["CreateScaleSet"]);
}

#[tokio::test(start_paused = true)]
async fn replaces_what_was_evicted_and_counts_it() {
    let mut bench = Bench::new(farm());
    bench.settle().await;
    bench.cloud.evicts(6);
    let (turn, said) = bench.turn().await;
    assert_eq!(turn.evicted, 6);
    assert_eq!(
        told(&turn),
        [EventReason::Evicted, EventReason::ReplacementRequested]
    );
    assert_eq!(brief(&said, ConditionType::Ready), "True AvailableEnough");
    assert_eq!(
        brief(&said, ConditionType::SpotSatisfied),
        "False Replacing"
    );
    let spot = said.spot.unwrap();
    assert_eq!(
        (spot.replicas, spot.running),
        (18, 12),
        "an eviction is no vote to scale down"
    );
    assert_eq!(said.evictions.unwrap().total, 6);
    let said = bench.settle().await;
    assert_eq!(
        brief(&said, ConditionType::SpotSatisfied),
        "True AllRunning"
    );
    assert_eq!(said.available_replicas, Some(20));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_told_and_shown_at_once_with_the_time_of_the_next_try() {
    let mut bench = Bench::new(json!({"capacity": {"spot": 3}}));
    bench.cloud.answers(Some(Answer::Refused(refusal(
        RefusalKind::NoCapacity,
        "SkuNotAvailable",
    ))));
    let (turn, said) = bench.turn().await;
    assert_eq!(told(&turn), [EventReason::OfferingRefused]);
    assert_eq!(
        brief(&said, ConditionType::SpotSatisfied),
        "False NoCapacity"
    );
    assert_eq!(said.offerings[0].reason.as_deref(), Some("SkuNotAvailable"));
    assert_eq!(said.spot.unwrap().replicas, 0);
    let (_, again) = bench.turn().await;
    assert_eq!(
        bench.cloud.asked().len(),
        1,
        "not asked again before its time"
    );
    assert_eq!(
        brief(&again, ConditionType::SpotSatisfied),
        "False NoCapacity"
    );
    bench.cloud.answers(None);
    let said = bench.settle().await;
    assert_eq!(brief(&said, ConditionType::Ready), "True AvailableEnough");
    assert!(said.offerings.is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_next_size_is_tried_before_anything_is_called_refused() {
    let mut bench = Bench::new(farm());
    bench.cloud.answers(Some(Answer::Refused(refusal(
        RefusalKind::NoCapacity,
        "SkuNotAvailable",
    ))));
    let (turn, said) = bench.turn().await;
    assert_eq!(turn.summary.stage, Stage::Acting);
    assert_eq!(said.offerings.len(), 1);
    bench.cloud.answers(None);
    let said = bench.settle().await;
    assert_eq!(brief(&said, ConditionType::Ready), "True AvailableEnough");
    assert_eq!(bench.cloud.asked().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_restart_takes_over_what_the_status_carries() {
    let mut bench = Bench::new(farm());
    bench.settle().await;
    bench.cloud.evicts(2);
    let said = bench.settle().await;
    bench.pool.status = Some(said.clone());
    bench.state = PoolState::default();
    assert_eq!(
        bench.settle().await,
        said,
        "a new process has nothing to write"
    );
}

#[tokio::test(start_paused = true)]
async fn silence_does_nothing_and_is_told_once() {
    let mut bench = Bench::new(farm());
    let before = bench.settle().await;
    let no_token = Blind::CredentialsInvalid {
        step: LoginStep::Login,
        fact: "AADSTS700016".to_owned(),
    };
    bench.cloud.blinds(Some(no_token));
    let (turn, said) = bench.turn().await;
    assert_eq!(told(&turn), [EventReason::CredentialsFailed]);
    assert_eq!(
        brief(&said, ConditionType::Stalled),
        "True CredentialsInvalid"
    );
    let (turn, again) = bench.turn().await;
    assert!(turn.happenings.is_empty());
    assert_eq!(again, said);
    bench.cloud.blinds(None);
    let after = bench.settle().await;
    assert_eq!(brief(&after, ConditionType::Stalled), "absent");
    assert_eq!(after.available_replicas, before.available_replicas);
    assert_eq!(bench.cloud.asked(), ["CreateScaleSet"]);
}

#[tokio::test(start_paused = true)]
async fn a_rejected_template_is_told_and_shown_while_the_pool_heals_on() {
    let mut bench = Bench::new(farm());
    bench.settle().await;
    bench.pool.metadata.generation = Some(2);
    bench
        .pool
        .spec
        .template
        .tags
        .insert("team".to_owned(), "render".to_owned());
    bench.cloud.answers(Some(Answer::Refused(refusal(
        RefusalKind::TemplateRejected,
        "InvalidParameter",
    ))));
    let (turn, said) = bench.turn().await;
    assert_eq!(told(&turn), [EventReason::TemplateRejected]);
    assert_eq!(
        brief(&said, ConditionType::UpToDate),
        "False TemplateRejected"
    );
    assert_eq!(
        brief(&said, ConditionType::Stalled),
        "True TemplateRejected"
    );
    let (_, again) = bench.turn().await;
    assert_eq!(
        brief(&again, ConditionType::Stalled),
        "True TemplateRejected"
    );
}

#[tokio::test(start_paused = true)]
async fn a_locked_scale_set_is_told_once_and_asked_for_less_and_less() {
    let mut bench = Bench::new(farm());
    bench.settle().await;
    bench.pool = deleting(farm());
    bench.cloud.answers(Some(Answer::Refused(refusal(
        RefusalKind::Forbidden,
        "ScopeLocked",
    ))));
    let (turn, said) = bench.turn().await;
    assert_eq!(told(&turn), [EventReason::DeletionBlocked]);
    assert_eq!(brief(&said, ConditionType::Deleting), "False Locked");
    let first = bench.clock.until(turn.next);
    tokio::time::advance(first).await;
    let (turn, _) = bench.turn().await;
    assert!(told(&turn).is_empty());
    assert!(bench.clock.until(turn.next) > first, "the wait doubles");
    bench.cloud.answers(None);
    let (turn, said) = bench.turn().await;
    assert_eq!(told(&turn), [EventReason::ScaleSetDeleted]);
    assert_eq!(brief(&said, ConditionType::Deleting), "True InProgress");
    let (turn, _) = bench.turn().await;
    assert_eq!(turn.summary.stage, Stage::Gone);
}

#[tokio::test(start_paused = true)]
async fn a_changed_template_is_not_called_current_before_azure_has_it() {
    let mut bench = Bench::new(farm());
    bench.settle().await;
    bench.pool.metadata.generation = Some(2);
    bench.pool.spec.suspend = true;
    bench
        .pool
        .spec
        .template
        .tags
        .insert("team".to_owned(), "render".to_owned());
    let (_, said) = bench.turn().await;
    assert_eq!(
        brief(&said, ConditionType::UpToDate),
        "False NewInstancesOnly"
    );
    assert_eq!(said.up_to_date_replicas, Some(0));
    assert!(
        message(&said, ConditionType::Suspended).contains("would do: "),
        "{said:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_put_off_is_done_at_its_turn_and_looked_at_as_urgently() {
    use crate::cloud::Urgency::{Looking, Rescue};
    let mut bench = Bench::new(farm());
    bench.settle().await;
    bench.turn().await;
    bench.cloud.urgencies();
    bench.cloud.evicts(6);
    let booked = bench.clock.now() + Millis::seconds(90);
    bench.cloud.answers(Some(Answer::Later(booked)));
    let (turn, said) = bench.turn().await;
    assert_eq!(
        bench.cloud.urgencies(),
        [Looking, Rescue],
        "nobody knew of the evictions before"
    );
    assert_eq!(
        turn.next, booked,
        "not before, and not at the pace of a pool in motion"
    );
    assert_eq!(told(&turn), [EventReason::Evicted], "nothing was done");
    assert_eq!(said.last_action.unwrap().action, "CreateScaleSet");
    // Its turn has come, and Azure's limits do not bear the look: that changes nothing.
    bench.cloud.blinds(Some(Blind::HeldBack { until: booked }));
    let (turn, _) = bench.turn().await;
    assert!(told(&turn).is_empty(), "no event for each pool that waits");
    bench.cloud.blinds(None);
    bench.cloud.answers(None);
    let (turn, _) = bench.turn().await;
    assert_eq!(bench.cloud.urgencies(), [Rescue, Rescue, Rescue]);
    assert_eq!(told(&turn), [EventReason::ReplacementRequested]);
    let said = bench.settle().await;
    assert_eq!(said.evictions.unwrap().total, 6, "counted once");
    assert_eq!(said.available_replicas, Some(20));
    assert!(
        bench.cloud.urgencies().iter().all(|one| *one == Looking),
        "what was accepted is no longer in a hurry"
    );
}

#[tokio::test(start_paused = true)]
async fn what_azure_is_at_work_on_and_not_for_us_is_looked_at_in_a_hurry() {
    use crate::cloud::Urgency::{Looking, Rescue};
    use spotpool_core::planner::Blind;
    let mut bench = Bench::new(farm());
    bench.settle().await;
    bench.turn().await;
    bench.cloud.urgencies();
    bench.cloud.blinds(Some(Blind::NotAsked));
    bench.turn().await;
    bench.turn().await;
    bench.cloud.blinds(None);
    bench.turn().await;
    assert_eq!(bench.cloud.urgencies(), [Looking, Rescue, Rescue]);
    bench.turn().await;
    assert_eq!(bench.cloud.urgencies(), [Looking], "nothing was lost");
}

#[tokio::test(start_paused = true)]
async fn declared_changes_go_before_deletions() {
    use crate::cloud::Urgency::{Change, Looking, Tidying};
    let mut bench = Bench::new(farm());
    bench.turn().await;
    assert_eq!(bench.cloud.urgencies(), [Looking, Change]);
    bench.settle().await;
    bench.cloud.urgencies();
    bench.pool = deleting(farm());
    bench.turn().await;
    assert_eq!(bench.cloud.urgencies(), [Looking, Tidying]);
}

#[tokio::test(start_paused = true)]
async fn what_the_quota_does_not_bear_is_not_asked_for_and_said() {
    use spotpool_core::planner::Quota;
    let spot = |used| {
        vec![Quota {
            row: "lowPriorityCores".to_owned(),
            used,
            limit: 100,
        }]
    };
    let mut bench = Bench::new(farm());
    bench.cloud.allows(spot(60));
    let (turn, said) = bench.turn().await;
    assert_eq!(told(&turn), [EventReason::ScaleSetCreated]);
    let action = said.last_action.unwrap();
    assert!(
        action
            .message
            .ends_with("60 of 100 cores of the quota lowPriorityCores are used: 12 to begin with"),
        "{action:?}"
    );
    bench.cloud.allows(spot(100));
    // Of each size that is declared.
    let (turn, _) = bench.turn().await;
    assert_eq!(told(&turn), [EventReason::QuotaExceeded]);
    let (turn, said) = bench.turn().await;
    assert_eq!(told(&turn), [EventReason::QuotaExceeded]);
    assert_eq!(
        brief(&said, ConditionType::SpotSatisfied),
        "False QuotaExceeded"
    );
    assert_eq!(
        bench.cloud.asked(),
        ["CreateScaleSet"],
        "Azure was not asked"
    );
    bench.cloud.allows(spot(20));
    tokio::time::advance(Duration::from_secs(3_600)).await;
    bench.state.memory.reopen();
    let said = bench.settle().await;
    assert_eq!(
        brief(&said, ConditionType::SpotSatisfied),
        "True AllRunning"
    );
}
