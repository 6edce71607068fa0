//! The page at `/`: one file without anything from elsewhere; it asks the control API for what it shows.

/// The whole page.
pub const HTML: &str = include_str!("page.html");
