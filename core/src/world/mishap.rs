//! What befalls a single instance although nobody asked for it, apart from evictions.

use super::instance::Phase;
use super::{Region, What};

/// A mishap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mishap {
    /// Its provisioning reads Failed from now on.
    Fails,
    /// It boots again, and takes so many milliseconds for it.
    BootsFor(u64),
}

impl Region {
    /// Lets a running instance meet with a mishap. `false`: there is none of that name, or it does not run.
    pub fn befall(&mut self, resource_group: &str, instance: &str, mishap: Mishap) -> bool {
        let Some((set, found)) = self.instance(resource_group, instance) else {
            return false;
        };
        let (key, set_name, name) = (set.key(), set.name.clone(), found.name.clone());
        let now = self.now();
        let running = self
            .sets
            .get_mut(&key)
            .and_then(|set| set.instances.get_mut(&name))
            .filter(|one| one.phase == Phase::Running);
        let Some(one) = running else {
            return false;
        };
        match mishap {
            Mishap::Fails => {
                one.phase = Phase::Failed;
                let what = What::InstanceFailed { instance: name };
                self.note(&set_name, what);
            }
            Mishap::BootsFor(millis) => {
                one.phase = Phase::Starting {
                    until: now + millis,
                }
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use crate::world::*;

    #[test]
    fn a_mishap_befalls_running_instances_only() {
        let mut region = Region::new(1, Options::small());
        let change = SetChange {
            capacity: Some(1),
            vm_size: Some("Standard_D4s_v5".to_owned()),
            ..SetChange::default()
        };
        region.put("rg", "p", &change, Precondition::None).unwrap();
        let name = region.set("rg", "p").unwrap().by_age()[0].name.clone();
        assert!(!region.befall("rg", &name, Mishap::Fails), "it boots");
        region.advance(120_000);
        assert!(region.befall("rg", &name, Mishap::BootsFor(600_000)));
        region.advance(600_000);
        assert_eq!(region.set("rg", "p").unwrap().running().total(), 0);
        region.advance(720_000);
        assert!(region.befall("RG", &name, Mishap::Fails));
        let (_, one) = region.instance("rg", &name).unwrap();
        assert_eq!(one.provisioning_state(), "Failed");
    }
}
