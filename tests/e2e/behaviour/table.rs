//! `docs/azure-behaviour.md`: the cells as a table. It says what the test has just seen, or the test would have failed.

use std::fmt::Write as _;

use super::cells::{self, Cell, MISHAPS, MODES, Market, Meanwhile, Mishap, Mode, POLICIES, Policy};
use crate::harness::{Result, error};

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/azure-behaviour.md");
const HEAD: &str = "\
<!-- Written by tests/e2e/behaviour.rs: SPOTPOOL_BLESS=1 cargo test -p spotpool --test e2e behaviour -->
# What becomes of an instance

A pool of 3 Spot instances (and 1 regular one in a Flexible set) is as declared, and one Spot instance meets with a mishap while Azure
sells another one, has none left, has no quota left for it, or asks more than `maxPrice`, which was lowered (a price that rises evicts
what runs). Each cell was run by the real program
against a real API server and the simulated Azure; it says what was seen until Azure sells again, and who runs in the end. In every cell
the pool ends as declared and Ready, the other instances run on all the time, and nothing else is made or deleted.

\"Stopped\" is deallocated by hand; \"slow\" boots for twenty minutes.
";

/// # Errors
/// If the file says something else, unless it is to be written.
pub fn is_current() -> Result<()> {
    let table = table()?;
    if std::env::var_os("SPOTPOOL_BLESS").is_some() {
        std::fs::write(PATH, &table)?;
    }
    if std::fs::read_to_string(PATH).unwrap_or_default() == table {
        return Ok(());
    }
    Err(error(
        "docs/azure-behaviour.md is old: SPOTPOOL_BLESS=1 cargo test -p spotpool --test e2e behaviour",
    ))
}

fn table() -> Result<String> {
    let mut text = HEAD.to_owned();
    for mode in MODES {
        for policy in POLICIES {
            write!(
                text,
                "\n## {}, eviction policy {}\n\n",
                mode_word(mode),
                policy.word()
            )?;
            text.push_str("| an instance is | Azure sells | has none left | no quota left | price above `maxPrice` |\n| --- | --- | --- | --- | --- |\n");
            for mishap in MISHAPS {
                row(&mut text, mode, policy, mishap)?;
            }
        }
    }
    Ok(text)
}

fn row(text: &mut String, mode: Mode, policy: Policy, mishap: Mishap) -> Result<()> {
    let what = match mishap {
        Mishap::Evicted => "evicted",
        Mishap::Stopped => "stopped by somebody",
        Mishap::Failed => "failed",
        Mishap::Slow => "slow",
        Mishap::Deleted => "deleted by hand",
    };
    write!(text, "| {what} |")?;
    let of_row = |cell: &Cell| (cell.mode, cell.policy, cell.mishap) == (mode, policy, mishap);
    for cell in cells::all().into_iter().filter(of_row) {
        write!(text, " {} |", words(&cell))?;
    }
    text.push('\n');
    Ok(())
}

fn mode_word(mode: Mode) -> &'static str {
    match mode {
        Mode::Flexible => "Flexible",
        Mode::Uniform => "Uniform",
    }
}

fn words(cell: &Cell) -> String {
    let end = match (cell.same_instance(), cell.mishap) {
        (_, Mishap::Slow) => "runs in the end",
        (true, _) => "started again",
        (false, _) => "replaced",
    };
    match cell.meanwhile() {
        Meanwhile::Heals if cell.market == Market::NoQuota => {
            format!("{end} (it holds its quota)")
        }
        Meanwhile::Heals if cell.market == Market::TooDear => {
            format!("{end} (at the price limit that it was made with, which Azure does not tell)")
        }
        Meanwhile::Heals => end.to_owned(),
        Meanwhile::Boots => format!("waited for (`Starting`); {end}"),
        Meanwhile::Short { reason } => format!("2 of 3, `{reason}`; then {end}"),
        Meanwhile::Down { reason } => format!("stays deallocated, `{reason}`; then {end}"),
    }
}
