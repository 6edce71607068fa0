//! Which pools use which ServiceAccount, so that the last one lets go of it.
//!
//! In come the pools that the watch sees, in their order; out goes whether others still use an account. It says so of pools that exist,
//! not of pools that were reconciled: after a restart the list is complete before the first turn.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use kube::ResourceExt as _;

use crate::api::FINALIZER;
use crate::cloud::Account;

use super::desired::{account, has_finalizer, is_deleting};
use super::watch::Guarded;

/// All pools, by UID.
#[derive(Debug, Default)]
pub struct Users(Mutex<BTreeMap<String, Use>>);

#[derive(Debug, PartialEq, Eq)]
enum Use {
    /// This account.
    Of(Account),
    /// None: the operator's own identity, or nothing is left to do in Azure.
    None,
    /// The pool cannot be read: it may use any account of this namespace.
    Unknown(String),
}

impl Users {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Use>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A pool is there, as it is now.
    pub fn seen(&self, pool: &Guarded) {
        let uses = match &pool.0 {
            // Nothing is left in Azure, and it may be letting go of the account at the same time as the last of the others.
            Ok(pool) if is_deleting(pool) && !has_finalizer(pool, FINALIZER) => Use::None,
            Ok(pool) => account(pool).map_or(Use::None, Use::Of),
            Err(_) => Use::Unknown(pool.namespace().unwrap_or_default()),
        };
        self.lock().insert(pool.uid().unwrap_or_default(), uses);
    }

    /// A pool is gone.
    pub fn gone(&self, uid: &str) {
        self.lock().remove(uid);
    }

    /// Whether any pool but this one uses the account, or may.
    pub fn others(&self, account: &Account, uid: &str) -> bool {
        self.lock().iter().any(|(other, uses)| {
            let may = match uses {
                Use::Of(used) => used == account,
                Use::None => false,
                Use::Unknown(namespace) => *namespace == account.namespace,
            };
            other != uid && may
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::fixtures::pool;
    use kube::core::DeserializeGuard;
    use serde_json::json;

    fn named(uid: &str, account: Option<&str>) -> Guarded {
        let spec = match account {
            Some(name) => json!({"credentials": {"serviceAccountName": name}}),
            None => json!({}),
        };
        let mut pool = pool(spec);
        pool.metadata.uid = Some(uid.to_owned());
        DeserializeGuard(Ok(pool))
    }

    fn unreadable(uid: &str) -> Guarded {
        let object = json!({
            "apiVersion": "spotpool.io/v1alpha1", "kind": "SpotPool",
            "metadata": {"name": "odd", "namespace": "batch", "uid": uid}, "spec": {"vmSizes": 1},
        });
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn the_last_pool_of_an_account_is_known_as_such() {
        let users = Users::default();
        let team = Account {
            namespace: "batch".to_owned(),
            name: "team-a".to_owned(),
        };
        users.seen(&named("1", Some("team-a")));
        users.seen(&named("2", Some("team-a")));
        users.seen(&named("3", Some("team-b")));
        users.seen(&named("4", None));
        assert!(users.others(&team, "1"));
        users.seen(&named("2", Some("team-b")));
        assert!(!users.others(&team, "1"));
        users.seen(&named("2", Some("team-a")));
        users.gone("2");
        assert!(!users.others(&team, "1"));
        assert!(users.others(&team, "9"));
    }

    #[test]
    fn two_pools_that_go_at_the_same_time_do_not_wait_for_each_other() {
        let users = Users::default();
        let leaving = |uid: &str, finalizer: &str| {
            let mut object = named(uid, Some("team-a"));
            if let Ok(pool) = &mut object.0 {
                pool.metadata.deletion_timestamp = Some(crate::controller::times::time(
                    spotpool_core::units::Timestamp(0),
                ));
                pool.metadata.finalizers = Some(vec![finalizer.to_owned()]);
            }
            object
        };
        let team = Account {
            namespace: "batch".to_owned(),
            name: "team-a".to_owned(),
        };
        users.seen(&leaving("1", FINALIZER));
        assert!(users.others(&team, "2"), "its scale set is still there");
        users.seen(&leaving("1", crate::api::RELEASE_FINALIZER));
        assert!(!users.others(&team, "2"));
    }

    #[test]
    fn a_pool_that_cannot_be_read_may_use_any_account_of_its_namespace() {
        let users = Users::default();
        users.seen(&unreadable("5"));
        let of = |namespace: &str| Account {
            namespace: namespace.to_owned(),
            name: "team-a".to_owned(),
        };
        assert!(users.others(&of("batch"), "1"));
        assert!(!users.others(&of("elsewhere"), "1"));
    }
}
