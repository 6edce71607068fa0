//! The whole machine with real parts: a real API server and etcd, the project's own programs, Azure simulated on
//! loopback.

#[path = "../harness/mod.rs"]
mod harness;

mod chart;
mod control_plane_test;
mod prepare_test;
mod validation;
