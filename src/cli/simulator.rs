//! `spotpool simulator`: Azure on a loopback port, for demos and tests.

use crate::simulator::{Options, Simulator};
use clap::{Args, ValueEnum};
use spotpool_core::world::{self, CapacityFalls, CapacityWrite, NoCapacity, Span};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use tokio::net::TcpListener;

/// Simulates Azure on a loopback port: scale sets, their instances, evictions, quotas and prices.
///
/// Nothing real is created and nothing costs money. Any bearer token is accepted, which is why it listens on loopback only.
/// Point an Azure SDK, or the controller, at the printed address; open the same address in a browser to watch.
#[derive(Args, Clone, Debug)]
#[command(after_long_help = EXAMPLES)]
pub struct SimulatorArgs {
    /// Address to listen on, loopback only; port 0 picks a free one
    #[arg(long, default_value = "127.0.0.1:0", env = "SPOTPOOL_SIMULATOR_LISTEN")]
    listen: SocketAddr,
    /// How many times faster than real time it runs; 60 boots a VM in about a second
    #[arg(long, default_value = "1", value_parser = positive)]
    speed: f64,
    /// Same seed, same requests: same names, same boot times, same evictions
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Write every ARM request and response to this file, one JSON object a line, without tokens
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Keep everything that happens in this file, passwords included, and go on from there when started again with the same options
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// The subscription that exists; all others answer 404
    #[arg(
        long,
        default_value = "11111111-1111-1111-1111-111111111111",
        value_name = "GUID"
    )]
    subscription: String,
    /// The region that exists
    #[arg(long, default_value = "eastus")]
    location: String,
    /// Simulated time a VM needs to boot, such as 60s or 45s-100s
    #[arg(long, default_value = "45s-100s", value_parser = span, value_name = "TIME")]
    boot: Span,
    /// Simulated time an operation takes at least
    #[arg(long, default_value = "15s-30s", value_parser = span, value_name = "TIME")]
    operation: Span,
    /// Simulated time between the notice of an eviction and the end; Azure gives 30 s or less
    #[arg(long, default_value = "30s", value_parser = span, value_name = "TIME")]
    eviction_notice: Span,
    /// When sku.capacity follows an eviction; Azure documents that it falls, not when
    #[arg(long, value_enum, default_value_t = Falls::Late)]
    capacity_falls: Falls,
    /// What writing a capacity does: the difference to the recorded one, or to the instances that exist; undocumented
    #[arg(long, value_enum, default_value_t = Write::Level)]
    capacity_write: Write,
    /// Where missing capacity shows: refused at once, or inside the operation
    #[arg(long, value_enum, default_value_t = Refusal::Synchronous)]
    no_capacity: Refusal,
    /// Items on a page of a list
    #[arg(long, default_value_t = 200, value_name = "N")]
    page_size: usize,
    /// Serve over TLS, write the certificate of the simulator's own authority to DIR/ca.pem, and take no bearer tokens but those of its own
    /// login host; with --state, authority and certificate stay the same after a restart
    #[arg(long, value_name = "DIR")]
    tls_dir: Option<PathBuf>,
    /// How far Resource Graph is behind, in simulated time; Azure documents up to a minute
    #[arg(long, default_value = "10s", value_parser = millis, value_name = "TIME")]
    graph_lag: u64,
    /// Count requests in the rate-limit headers without ever answering 429
    #[arg(long)]
    no_throttle: bool,
    /// Seconds that operations ask their callers to wait; without it they say nothing, as Azure's, and Microsoft's clients wait 30
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=600))]
    retry_after: Option<u64>,
}

const EXAMPLES: &str = "\
Examples:
  spotpool simulator --listen 127.0.0.1:8080 --speed 60
  curl -s localhost:8080/control/state                                       # everything, as JSON
  curl -d '{\"scaleSet\":\"render\",\"count\":6}' localhost:8080/control/evict     # Azure takes six back
  curl -d '{\"vmSize\":\"Standard_D4s_v5\",\"available\":0}' localhost:8080/control/capacity
  curl -d '{\"do\":\"evict\",\"body\":{\"scaleSet\":\"render\"},\"every\":[300,900]}' localhost:8080/control/schedule
  curl -d '{\"offline\":true}' localhost:8080/control/offline                  # nobody answers";

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Falls {
    AtOnce,
    Late,
    Never,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Write {
    Delta,
    Level,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Refusal {
    Synchronous,
    InsideOperation,
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(n) if n.is_finite() && n > 0.0 && n <= 100_000.0 => Ok(n),
        _ => Err("a number above 0 and up to 100000 is needed, such as 60".to_owned()),
    }
}

/// `30s`, `1m30s` is not needed: one unit a time, or two times with a dash between them.
fn span(text: &str) -> Result<Span, String> {
    let (min, max) = text.split_once('-').unwrap_or((text, text));
    let (min, max) = (millis(min)?, millis(max)?);
    if min > max {
        return Err(format!("{text} ends before it begins"));
    }
    Ok(Span::between(min, max))
}

fn millis(text: &str) -> Result<u64, String> {
    let wrong = || format!("'{text}' is no time: write 500ms, 30s or 2m");
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "ms" => 1.0,
        "s" | "" => 1_000.0,
        "m" => 60_000.0,
        _ => return Err(wrong()),
    };
    let number: f64 = digits.parse().map_err(|_| wrong())?;
    if (0.0..=1e9).contains(&number) {
        Ok((number * unit) as u64)
    } else {
        Err(wrong())
    }
}

/// Serves until SIGTERM or ctrl-c. Prints one line when it is ready.
pub async fn run(args: SimulatorArgs) -> ExitCode {
    if !args.listen.ip().is_loopback() {
        eprintln!(
            "spotpool simulator: {} is not a loopback address. It accepts any token, so it listens on 127.0.0.1 or [::1] only.",
            args.listen
        );
        return ExitCode::from(2);
    }
    match serve(args).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("spotpool simulator: {sentence}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(args: SimulatorArgs) -> Result<(), String> {
    let simulator = Simulator::new(&options(&args)).map_err(|e| format!("cannot start: {e}"))?;
    let listener = TcpListener::bind(args.listen)
        .await
        .map_err(|e| format!("cannot listen on {}: {e}", args.listen))?;
    let address = listener
        .local_addr()
        .map_err(|e| format!("cannot tell its own address: {e}"))?;
    let stop = stop_signal()?;
    let scheme = if args.tls_dir.is_some() {
        "https"
    } else {
        "http"
    };
    println!("simulator listening on {scheme}://{address}");
    simulator
        .serve(listener, stop)
        .await
        .map_err(|e| format!("stopped serving: {e}"))
}

fn options(args: &SimulatorArgs) -> Options {
    let world = world::Options {
        boot: args.boot,
        operation: args.operation,
        eviction_notice: args.eviction_notice,
        capacity_after_eviction: match args.capacity_falls {
            Falls::AtOnce => CapacityFalls::AtOnce,
            Falls::Late => world::Options::default().capacity_after_eviction,
            Falls::Never => CapacityFalls::Never,
        },
        capacity_write: match args.capacity_write {
            Write::Delta => CapacityWrite::Delta,
            Write::Level => CapacityWrite::Level,
        },
        no_capacity: match args.no_capacity {
            Refusal::Synchronous => NoCapacity::Synchronous,
            Refusal::InsideOperation => NoCapacity::InsideOperation,
        },
        ..world::Options::default()
    };
    Options {
        world,
        seed: args.seed,
        speed: args.speed,
        anchor: None,
        subscription: args.subscription.clone(),
        location: args.location.clone(),
        page_size: args.page_size,
        graph_lag: args.graph_lag,
        throttle: !args.no_throttle,
        retry_after: args.retry_after,
        log: args.log.clone(),
        journal: args.state.clone(),
        tls: args.tls_dir.clone(),
    }
}

fn stop_signal() -> Result<impl Future<Output = ()> + Send + 'static, String> {
    use tokio::signal::unix::{SignalKind, signal};
    let of = |kind| signal(kind).map_err(|e| format!("cannot wait for signals: {e}"));
    let (mut term, mut interrupt) = (of(SignalKind::terminate())?, of(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            biased;
            _ = term.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units_and_may_be_a_span() {
        assert_eq!(span("30s"), Ok(Span::exactly(30_000)));
        assert_eq!(span("45s-2m"), Ok(Span::between(45_000, 120_000)));
        for bad in ["", "soon", "-3s", "2m-1s", "5h"] {
            assert!(span(bad).is_err(), "{bad}");
        }
    }
}
