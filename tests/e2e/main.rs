//! The whole machine with real parts: a real API server and etcd, the project's own programs, Azure simulated on
//! loopback.

#[path = "../harness/mod.rs"]
mod harness;

mod bad_days;
mod behaviour;
mod chart;
mod confirmation;
mod control_plane_test;
mod crash;
mod documents;
mod every_field;
mod examples;
mod identities;
mod logins;
mod outages;
mod pool;
mod prepare_test;
mod quota;
mod references;
mod restarts;
mod survey;
mod throttling;
mod validation;
