//! `make control-plane` for people whose machine is not like ours: without Go, without the network, with a wrong
//! download, twice at once. Go and curl are played by small scripts here; the real build is what every other test in
//! this directory runs on.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::harness::Result;

const SCRIPT: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/control-plane/prepare.sh"
);

/// Everything the script needs besides Go and curl.
const TOOLS: &[&str] = &[
    "bash",
    "cp",
    "gzip",
    "tar",
    "cat",
    "chmod",
    "cut",
    "dirname",
    "du",
    "grep",
    "head",
    "mkdir",
    "mktemp",
    "mv",
    "rm",
    "sed",
    "sha512sum",
    "shasum",
    "sleep",
    "tail",
    "tr",
    "uname",
    "wc",
    "touch",
];

/// Answers as Go does, and leaves a line in `builds` for each build.
const GO: &str = r#"#!/usr/bin/env bash
case $1 in
  env) echo go1.26.0 ;;
  list) echo one; echo two ;;
  build)
    echo "${@: -1}" >>"$BUILDS"
    sleep 1
    while [[ $1 != -o ]]; do shift; done
    output=$2; shift 2
    if [[ $output != */ ]]; then
      touch "$output"; chmod +x "$output"
    else
      for package; do touch "$output${package##*/}"; chmod +x "$output${package##*/}"; done
    fi ;;
esac
"#;

/// Answers as curl does, with the file of the address's last name from `$PUBLISHED`.
const CURL: &str = r#"#!/usr/bin/env bash
while [[ $1 != --output ]]; do shift; done
cp "$PUBLISHED/${3##*/}" "$2"
"#;

/// A machine with nothing but the tools above.
struct Machine(TempDir);

impl Machine {
    fn new() -> Result<Self> {
        let this = Self(tempfile::tempdir()?);
        std::fs::create_dir(this.bin())?;
        let path = std::env::var_os("PATH").ok_or("PATH is not set")?;
        for tool in TOOLS {
            if let Some(found) = std::env::split_paths(&path)
                .map(|d| d.join(tool))
                .find(|p| p.is_file())
            {
                symlink(found, this.bin().join(tool))?;
            }
        }
        Ok(this)
    }

    fn bin(&self) -> PathBuf {
        self.0.path().join("bin")
    }

    fn with_program(self, name: &str, text: &str) -> Result<Self> {
        make_program(&self.bin().join(name), text)?;
        Ok(self)
    }

    fn builds(&self) -> PathBuf {
        self.0.path().join("builds")
    }

    fn prepare(&self) -> Command {
        self.prepare_by(Path::new(SCRIPT))
    }

    fn prepare_by(&self, script: &Path) -> Command {
        let mut command = Command::new(script);
        command
            .env_clear()
            .env("PATH", self.bin())
            .env("XDG_CACHE_HOME", self.0.path().join("cache"))
            .env("BUILDS", self.builds());
        command
    }
}

fn make_program(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text)?;
    Ok(std::fs::set_permissions(
        path,
        std::fs::Permissions::from_mode(0o755),
    )?)
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn without_go_it_says_what_to_do() -> Result<()> {
    let output = Machine::new()?.prepare().output()?;
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
    let said = said(&output);
    assert!(
        said.contains("Go is needed to build etcd kube-apiserver kube-controller-manager kubectl"),
        "{said}"
    );
    assert!(said.contains("Next: install Go 1.26"), "{said}");
    assert!(said.contains("or set KUBEBUILDER_ASSETS"), "{said}");
    Ok(())
}

#[test]
fn a_complete_directory_named_by_the_user_is_taken_and_an_incomplete_one_is_not() -> Result<()> {
    let machine = Machine::new()?;
    let assets = machine.0.path().join("assets");
    std::fs::create_dir(&assets)?;
    for program in ["etcd", "kube-apiserver", "kubectl"] {
        make_program(&assets.join(program), "")?;
    }
    let output = machine
        .prepare()
        .env("KUBEBUILDER_ASSETS", &assets)
        .output()?;
    assert_eq!(
        output.status.code(),
        Some(1),
        "it must go on, and has no Go here"
    );
    assert!(
        said(&output).contains("lacks kube-controller-manager; it is not used"),
        "{}",
        said(&output)
    );

    make_program(&assets.join("kube-controller-manager"), "")?;
    let output = machine
        .prepare()
        .env("KUBEBUILDER_ASSETS", &assets)
        .output()?;
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        format!("{}\n", assets.canonicalize()?.display())
    );
    Ok(())
}

#[test]
fn two_at_once_build_once_and_the_next_finds_it_built() -> Result<()> {
    let machine = Machine::new()?.with_program("go", GO)?;
    let output = std::thread::scope(|scope| {
        let runs = [
            scope.spawn(|| machine.prepare().output()),
            scope.spawn(|| machine.prepare().output()),
        ];
        runs.map(std::thread::ScopedJoinHandle::join)
    });
    let mut printed = Vec::new();
    for run in output {
        let run = run.map_err(|_| "a run panicked")??;
        assert!(run.status.success(), "{}", said(&run));
        printed.push(String::from_utf8(run.stdout)?);
    }
    let again = machine.prepare().output()?;
    assert_eq!(said(&again), "", "what is there needs no words");
    printed.push(String::from_utf8(again.stdout)?);

    assert!(printed.iter().all(|one| *one == printed[0]), "{printed:?}");
    let directory = Path::new(printed[0].trim_end());
    for program in [
        "etcd",
        "kube-apiserver",
        "kube-controller-manager",
        "kubectl",
    ] {
        assert!(
            directory.join(program).is_file(),
            "{program} is missing in {}",
            directory.display()
        );
    }
    let builds = std::fs::read_to_string(machine.builds())?;
    assert_eq!(
        builds.lines().count(),
        2,
        "etcd once, the others once together: {builds}"
    );
    let left: Vec<_> = std::fs::read_dir(directory.parent().ok_or("no parent")?)?
        .collect::<std::io::Result<_>>()?;
    assert_eq!(
        left.len(),
        1,
        "neither locks nor half of anything may be left: {left:?}"
    );
    Ok(())
}

#[test]
fn a_killed_run_does_not_block_the_next() -> Result<()> {
    let machine = Machine::new()?.with_program("go", GO)?;
    let first = machine.prepare().output()?;
    let directory = PathBuf::from(String::from_utf8(first.stdout)?.trim_end());
    std::fs::remove_file(directory.join("kubectl"))?;
    let lock = PathBuf::from(format!("{}.lock", directory.display()));
    std::fs::create_dir(&lock)?;
    // A number beyond every system's limit: nobody's.
    std::fs::write(lock.join("pid"), "999999999\n")?;

    let output = machine.prepare().output()?;
    assert!(output.status.success(), "{}", said(&output));
    assert!(
        said(&output).contains("is gone; taking over"),
        "{}",
        said(&output)
    );
    assert!(
        directory.join("kubectl").is_file(),
        "an incomplete cache is made again"
    );
    Ok(())
}

#[test]
fn a_download_with_another_checksum_is_thrown_away() -> Result<()> {
    let curl = "#!/usr/bin/env bash\nwhile [[ $1 != --output ]]; do shift; done\necho something else >\"$2\"\n";
    let machine = Machine::new()?
        .with_program("curl", curl)?
        .with_program("go", GO)?;
    let output = machine.prepare().output()?;
    assert!(output.status.success(), "{}", said(&output));
    assert!(
        said(&output).contains("it is thrown away"),
        "{}",
        said(&output)
    );
    assert_eq!(
        std::fs::read_to_string(machine.builds())?.lines().count(),
        2,
        "everything is built instead"
    );
    Ok(())
}

#[test]
fn a_failed_build_shows_what_go_said_and_leaves_nothing() -> Result<()> {
    let go =
        "#!/usr/bin/env bash\ncase $1 in build) echo no space left on device >&2; exit 1 ;; esac\n";
    let machine = Machine::new()?.with_program("go", go)?;
    let output = machine.prepare().output()?;
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said(&output).contains("no space left on device"),
        "{}",
        said(&output)
    );
    let left = std::fs::read_dir(machine.0.path().join("cache/spotpool/control-plane"))?.count();
    assert_eq!(left, 0);
    Ok(())
}

#[test]
fn what_upstream_publishes_is_taken_after_its_checksum_and_needs_no_go() -> Result<()> {
    let machine = Machine::new()?.with_program("curl", CURL)?;
    let published = machine.0.path().join("published");
    // The script beside other checksums: those of what is "published" here.
    let here = machine.0.path().join("control-plane");
    let recipe = r#"
        set -eu
        mkdir -p "$1/controller-tools/envtest" "$2/etcd"
        cp "$3/prepare.sh" "$3/go.mod" "$2"; cp "$3/etcd/go.mod" "$2/etcd"
        cd "$1"
        for p in etcd kube-apiserver kubectl; do echo $p >controller-tools/envtest/$p; done
        chmod +x controller-tools/envtest/*
        echo published >kube-controller-manager
        platform=$(sed -n 's|.*/envtest-v\([^/]*\)-linux-amd64.tar.gz$|\1|p' "$3/published.txt")
        os=$(uname -s | tr '[:upper:]' '[:lower:]'); arch=$(uname -m)
        case $arch in x86_64) arch=amd64 ;; aarch64) arch=arm64 ;; esac
        archive=envtest-v$platform-$os-$arch.tar.gz
        tar -czf "$archive" controller-tools
        sum() { if command -v sha512sum >/dev/null; then sha512sum "$1"; else shasum -a 512 "$1"; fi | cut -d ' ' -f 1; }
        {
            echo "sha512 $(sum "$archive") https://example.org/$archive"
            echo "sha512 $(sum kube-controller-manager) https://example.org/v$platform/bin/$os/$arch/kube-controller-manager"
        } >"$2/published.txt"
    "#;
    let source = Path::new(SCRIPT).parent().ok_or("the script is nowhere")?;
    let made = Command::new("bash")
        .args(["-c", recipe, "recipe"])
        .args([&published, &here])
        .arg(source)
        .output()?;
    assert!(made.status.success(), "{}", said(&made));

    let output = machine
        .prepare_by(&here.join("prepare.sh"))
        .env("PUBLISHED", &published)
        .output()?;
    assert!(output.status.success(), "{}", said(&output));
    let directory = PathBuf::from(String::from_utf8(output.stdout)?.trim_end());
    assert_eq!(std::fs::read_to_string(directory.join("etcd"))?, "etcd\n");
    assert_eq!(
        std::fs::read_to_string(directory.join("kube-controller-manager"))?,
        "published\n"
    );
    Ok(())
}
