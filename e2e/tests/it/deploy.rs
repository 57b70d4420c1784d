//! What is in `deploy/`: the systemd unit by systemd's own judge, the image's root file system started as a container would.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use e2e::http;
use e2e::peers::{self, Peer};
use e2e::process::{Process, free_port};

const LIMIT: Duration = Duration::from_secs(120);
/// The user of the image, who is nobody outside.
const USER: &str = "65532";
/// Tenths of systemd's exposure, 0 to 100. What is left is the network, which it needs.
const EXPOSURE_MAX: &str = "15";

#[test]
fn the_systemd_unit_is_valid_and_closed() -> Result<()> {
    let analyze = Peer::Systemd.require()?;
    let folder = tempfile::tempdir()?;
    let unit = fs::read_to_string(peers::repository().join("deploy/systemd/weft.service"))?;
    // systemd looks whether the program is there; here it is where it was built.
    let unit = unit.replace("/usr/bin/weft ", &format!("{} ", peers::weft()?.display()));
    let file = folder.path().join("weft.service");
    fs::write(&file, unit)?;
    for arguments in [&["verify"][..], &["security", "--offline=true", "--threshold", EXPOSURE_MAX]] {
        let mut command = Command::new(&analyze);
        command.args(arguments).arg(&file).env("SYSTEMD_COLORS", "0");
        let mut process = Process::start(arguments[0], command, folder.path())?;
        process.finish(LIMIT)?;
        let said = process.stderr();
        ensure!(!said.contains("weft.service:"), "{}: {said}", arguments[0]);
    }
    Ok(())
}

/// The image without a container engine: the same files, another root, no rights, nothing to write to but its data.
#[test]
fn the_image_runs_on_a_read_only_root_as_nobody() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let root = folder.path().join("root");
    let mut assemble = Command::new(peers::repository().join("deploy/oci/rootfs.sh"));
    assemble.arg(peers::weft()?).arg(&root);
    Process::start("rootfs", assemble, folder.path())?.finish(LIMIT)?;
    put_mesh_in(&root)?;
    let before = files(&root)?;
    let is_root = root.metadata()?.uid() == 0;
    let http = format!("127.0.0.1:{}", free_port()?);
    let mut process = Process::start("image", enter(&root, is_root, &http), folder.path())?;
    process.wait_until("readiness", LIMIT, |_| {
        http::get(&http, "/readyz").is_ok_and(|answer| answer.status == 200).then_some(())
    })?;
    let path = "/v1/products/flight-ops/airlines/ports/airlines/v1?carrier=UA";
    process.wait_until("a row", LIMIT, |_| {
        http::get(&http, path).is_ok_and(|answer| answer.body.contains("United Air Lines Inc.")).then_some(())
    })?;
    let status = fs::read_to_string(format!("/proc/{}/status", process.id()))?;
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim();
    ensure!(field("CapEff:") == "0000000000000000", "it has capabilities: {status}");
    ensure!(!field("Uid:").split_whitespace().any(|uid| uid == "0"), "it runs as root: {status}");
    process.interrupt()?;
    let ended = process.wait(LIMIT)?;
    ensure!(ended.success(), "it ended with {ended}");
    let after = files(&root)?;
    ensure!(before == after, "files beside the data have changed: {before:?} {after:?}");
    ensure!(fs::read_dir(root.join("var/lib/weft"))?.next().is_some(), "nothing was written to the data");
    // Else the folder could not be removed by somebody who is not root.
    ensure!(Command::new("chmod").args(["-R", "u+w"]).arg(&root).status()?.success(), "chmod failed");
    Ok(())
}

/// The example, where the image's mesh is mounted.
fn put_mesh_in(root: &Path) -> Result<()> {
    let mesh = root.join("etc/weft/mesh");
    let script = r#"chmod u+w "$2" && cp -r "$1"/. "$2" && rm -rf "$2"/.weft && chmod -R a-w,a+rX "$2""#;
    let copy = Command::new("sh")
        .args(["-c", script, "sh"])
        .arg(peers::repository().join("examples/flights"))
        .arg(mesh)
        .status()?;
    ensure!(copy.success(), "cannot copy the example");
    Ok(())
}

/// Root becomes nobody, on a file system that is mounted read-only where mounting is allowed; somebody else changes the root
/// in a user namespace. Nothing but the data is writable for that user in any case.
fn enter(root: &Path, is_root: bool, http: &str) -> Command {
    let may_mount = || Command::new("unshare").args(["--mount", "true"]).status().is_ok_and(|status| status.success());
    let mut command = Command::new("unshare");
    if is_root && !may_mount() {
        command = Command::new("chroot");
        command.args([&format!("--userspec={USER}:{USER}"), "--groups="]).arg(root);
    } else if is_root {
        let script = format!(
            r#"mount --bind "$1" "$1" && mount --bind "$1/var/lib/weft" "$1/var/lib/weft" && mount -o remount,ro,bind "$1" \
            && root="$1" && shift && exec chroot --userspec={USER}:{USER} --groups= "$root" "$@""#
        );
        command.args(["--mount", "sh", "-c", &script, "sh"]).arg(root);
    } else {
        command.args(["--map-current-user", "--wd=/"]).arg(format!("--root={}", root.display()));
    }
    command.args(["/usr/bin/weft", "up", "/etc/weft/mesh", "--data", "/var/lib/weft", "--kafka-listen", "127.0.0.1:0"]);
    command.args(["--http-listen", http]);
    command
}

/// Every file and folder but the data, with its length and time of change.
fn files(root: &Path) -> Result<BTreeMap<PathBuf, (u64, SystemTime)>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))? {
            let entry = entry?;
            let (path, about) = (entry.path(), entry.metadata()?);
            if path.ends_with("var/lib/weft") {
                continue;
            }
            if about.is_dir() {
                folders.push(path.clone());
            }
            found.insert(path, (about.len(), about.modified()?));
        }
    }
    Ok(found)
}
