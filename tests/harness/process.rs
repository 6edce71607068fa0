//! A program that runs beside the test: its output goes to a file, and it ends with its handle, or with the test.
//!
//! In goes a [`Command`], out comes a [`Process`]. Each program leads a process group of its own, and beside it sits a
//! guard: a shell that waits for the end of its input, which the operating system brings about however the test
//! ends, and then kills the group. Thus Ctrl-C or a killed test leaves nothing behind.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::Result;

/// Lines of a log that an error shows.
const TAIL: usize = 25;

/// A running program (or one that has ended, until the handle is dropped).
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    guard: Child,
    log: PathBuf,
    /// Set by [`Process::leave_running`]: the end of the handle is then not the end of the program.
    left_running: bool,
}

impl Process {
    /// Starts `command` with its standard output and error appended to the file `log`.
    ///
    /// # Errors
    /// If the program or its guard cannot be started, or the log cannot be written.
    pub fn start(name: &str, mut command: Command, log: &Path) -> Result<Self> {
        let output = File::options().create(true).append(true).open(log)?;
        command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .process_group(0);
        let mut child = command.spawn().map_err(|error| {
            format!(
                "cannot start {name} ({}): {error}",
                command.get_program().display()
            )
        })?;
        let guard = Command::new("sh")
            .args([
                "-c",
                "read -r _; kill -s KILL -- \"-$0\" 2>/dev/null",
                &child.id().to_string(),
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn();
        match guard {
            Ok(guard) => Ok(Self {
                name: name.to_owned(),
                child,
                guard,
                log: log.to_owned(),
                left_running: false,
            }),
            Err(error) => {
                child.kill()?;
                child.wait()?;
                Err(super::error(format!(
                    "cannot start the guard of {name} (sh): {error}"
                )))
            }
        }
    }

    /// The operating system's number of the program, which is also that of its process group.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The file that holds everything the program has written.
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// How the program ended, or `None` while it runs.
    ///
    /// # Errors
    /// If the operating system does not tell.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        let status = self.child.try_wait()?;
        if status.is_some() {
            self.dismiss_guard();
        }
        Ok(status)
    }

    /// Whether the program runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.ended(), Ok(None))
    }

    /// SIGKILL, at once: the program has no chance to finish anything.
    ///
    /// # Errors
    /// If the operating system refuses; a program that has ended already is no error.
    pub fn kill_9(&mut self) -> Result<ExitStatus> {
        match self.child.kill() {
            Err(error) if error.kind() != ErrorKind::InvalidInput => Err(error.into()),
            _ => {
                self.dismiss_guard();
                Ok(self.child.wait()?)
            }
        }
    }

    /// SIGTERM, the polite request to end, as a kubelet sends it. Does not wait: see [`Process::wait`].
    ///
    /// # Errors
    /// If the program has ended already or cannot be signalled.
    pub fn terminate(&mut self) -> Result<()> {
        if let Some(status) = self.ended()? {
            return Err(super::error(format!(
                "{} cannot be terminated: it ended before ({})",
                self.name,
                told(status)
            )));
        }
        signal("TERM", &self.child.id().to_string())
    }

    /// Waits until the program has ended by itself or by [`Process::terminate`].
    ///
    /// # Errors
    /// With the end of its log if it still runs after `deadline`; it is left running.
    pub async fn wait(&mut self, deadline: Duration) -> Result<ExitStatus> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            if start.elapsed() > deadline {
                return Err(self.failure(&format!("still runs after {deadline:?}")));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The last lines the program has written.
    pub fn log_tail(&self) -> String {
        tail(&self.log)
    }

    /// An error that says `what` about the program, how it ended if it did, and the end of its log.
    pub fn failure(&mut self, what: &str) -> super::Error {
        let ended = match self.ended() {
            Ok(Some(status)) => format!(" (it ended: {})", told(status)),
            _ => String::new(),
        };
        super::error(format!(
            "{} {what}{ended}\n--- end of {}\n{}",
            self.name,
            self.log.display(),
            self.log_tail()
        ))
    }

    /// Lets the program outlive the handle and the test; returns its number. Whoever calls this tells the user how
    /// to end it.
    pub fn leave_running(mut self) -> u32 {
        self.dismiss_guard();
        self.left_running = true;
        self.child.id()
    }

    /// Errors mean that the guard has gone already. After the program has been waited for, its number can become a
    /// stranger's, so the guard must not outlive that.
    fn dismiss_guard(&mut self) {
        let _ = self.guard.kill();
        let _ = self.guard.wait();
    }
}

impl Drop for Process {
    /// Errors mean that the program is gone, which is what is wanted.
    fn drop(&mut self) {
        if self.left_running {
            return;
        }
        if self.is_running() {
            let _ = signal("KILL", &format!("-{}", self.child.id()));
            let _ = self.child.kill();
        }
        self.dismiss_guard();
        let _ = self.child.wait();
    }
}

/// The last lines of a file; an unreadable file is described, for this is only ever shown.
pub fn tail(path: &Path) -> String {
    match std::fs::read(path) {
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes);
            let lines: Vec<&str> = text.lines().collect();
            lines[lines.len().saturating_sub(TAIL)..].join("\n")
        }
        Err(error) => format!("({}: {error})", path.display()),
    }
}

/// How a program ended, in words.
fn told(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => status.to_string(),
    }
}

/// Signals a process, or a group if `target` begins with a minus. By the shell's own `kill`, because the standard
/// library has none and this project has no unsafe code.
fn signal(name: &str, target: &str) -> Result<()> {
    let output = Command::new("sh")
        .args(["-c", "kill -s \"$0\" -- \"$1\"", name, target])
        .output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(super::error(format!(
        "cannot send SIG{name} to {target}: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    )))
}
