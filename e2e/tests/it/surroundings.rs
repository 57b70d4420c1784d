//! Surroundings that fail: a taken port, a directory that is not ours, in use, full, or from a newer version.
//! Each gets one clear message and an exit status; nothing panics and nothing acknowledged is lost.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::client::Client;
use e2e::mesh::{Mesh, Options};
use e2e::peers;
use e2e::process::{Process, free_port};
use e2e::server::{Kind, Server, create_topic};
use serde_json::json;

const END: Duration = Duration::from_secs(30);

/// Runs a command that must end by itself with an error that holds `wanted` words, and no panic.
fn refuses(name: &str, command: Command, folder: &Path, wanted: &[&str]) -> Result<()> {
    let mut process = Process::start(name, command, folder)?;
    let status = process.wait(END)?;
    let said = format!("{}{}", process.stdout(), process.stderr());
    ensure!(!status.success(), "it ended well: {said}");
    ensure!(!said.contains("panicked"), "it panicked: {said}");
    for word in wanted.iter().chain(&["because", "try", "code"]) {
        ensure!(said.contains(word), "\"{word}\" is missing in: {said}");
    }
    Ok(())
}

fn log(data: &Path, port: u16) -> Result<Command> {
    let mut command = Command::new(peers::weft()?);
    command.arg("log").arg("--data").arg(data).args(["--listen", &format!("127.0.0.1:{port}")]);
    Ok(command)
}

#[test]
fn a_port_already_taken() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let port = taken.local_addr()?.port();
    refuses("log", log(&folder.path().join("data"), port)?, folder.path(), &[&port.to_string(), "LOG-001"])?;

    let mesh = Mesh::prepare(Options::default())?;
    let other = TcpListener::bind(mesh.http())?;
    let address = other.local_addr()?.to_string();
    refuses("up", mesh.command()?, mesh.folder(), &[&address])
}

#[test]
fn a_data_directory_in_use() -> Result<()> {
    let server = Server::start(Kind::Weft)?;
    let command = log(&server.data(), free_port()?)?;
    refuses("second", command, server.folder(), &[&server.data().display().to_string(), "LOG-002"])?;
    server.create_topic("still-served", 1, &[])
}

#[test]
fn a_data_directory_without_write_permission() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    fs::create_dir(&data)?;
    // Root may write everywhere, so the process runs as nobody, from a place that nobody can read.
    let binary = folder.path().join("weft");
    fs::copy(peers::weft()?, &binary)?;
    for path in [folder.path(), &data, &binary] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    }
    let is_root = runs_as_root()?;
    let mut command = if is_root { Command::new("setpriv") } else { Command::new(&binary) };
    if is_root {
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&binary);
    } else {
        fs::set_permissions(&data, fs::Permissions::from_mode(0o555))?;
    }
    command.arg("log").arg("--data").arg(&data).args(["--listen", &format!("127.0.0.1:{}", free_port()?)]);
    refuses("nobody", command, folder.path(), &[&data.display().to_string(), "LOG-003"])
}

fn runs_as_root() -> Result<bool> {
    let output = Command::new("id").arg("-u").output()?;
    Ok(output.stdout == b"0\n")
}

/// A small file system in memory, unmounted at the end.
struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    fn mount(path: &'a Path, size: &str) -> Result<Self> {
        fs::create_dir_all(path)?;
        let status =
            Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(path).status()?;
        ensure!(status.success(), "cannot mount a tmpfs; this test needs root");
        Ok(Self(path))
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        // Lazily, so that a file still open does not keep it.
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

/// The disk fills while records come: the producer is told, the process lives, and what it had acknowledged is read back.
#[test]
fn a_full_disk() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    // The log keeps a reserve of 64 MiB for its own records and refuses appends before it is used up.
    let disk = SmallDisk::mount(&data, "76m")?;
    let port = free_port()?;
    let bootstrap = format!("127.0.0.1:{port}");
    let mut server = Process::start("log", log(&data, port)?, folder.path())?;
    server.wait_until("it listens", END, |_| std::net::TcpStream::connect(&bootstrap).is_ok().then_some(()))?;
    create_topic(&bootstrap, "filling", 1, &[])?;

    let mut command = Command::new(peers::Peer::Python.require()?);
    command.arg("-u").arg(peers::repository().join("e2e/scripts/fill.py")).args([&bootstrap, "filling"]);
    let said = Process::start("fill", command, folder.path())?.finish(Duration::from_secs(90))?;
    let acknowledged: usize = said.trim().parse().with_context(|| format!("fill.py said {said}"))?;
    ensure!(acknowledged > 100, "only {acknowledged} records fitted on the disk");
    ensure!(server.stdout().is_empty() || !server.stderr().contains("panicked"), "it panicked:{}", server.tail());

    let keys = Client::Confluent.keys(&bootstrap, "filling", acknowledged, "read_committed", folder.path())?;
    ensure!(keys.len() >= acknowledged, "{acknowledged} records were acknowledged, {} are there", keys.len());
    server.kill();
    drop(server);
    drop(disk);
    Ok(())
}

#[test]
fn a_full_disk_at_the_start() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let _disk = SmallDisk::mount(&data, "64k")?;
    fs::write(data.join("ballast"), vec![0; 60 << 10])?;
    refuses("log", log(&data.join("log"), free_port()?)?, folder.path(), &[&data.display().to_string(), "LOG-005"])
}

#[test]
fn a_data_directory_from_a_newer_version() -> Result<()> {
    let mut server = Server::start(Kind::Weft)?;
    server.create_topic("kept", 1, &[])?;
    let arguments = json!({"topic": "kept", "from": 0, "count": 10});
    Client::Confluent.run("produce", &server.bootstrap(), &arguments, server.folder())?;
    server.kill();
    let path = server.data().join("format");
    let text = fs::read_to_string(&path)?;
    fs::write(&path, "weft-log 9\n")?;
    refuses("older", log(&server.data(), free_port()?)?, server.folder(), &["format", "LOG-004"])?;
    fs::write(&path, text)?;
    server.restart()?;
    let keys = Client::Confluent.keys(&server.bootstrap(), "kept", 10, "read_committed", server.folder())?;
    ensure!(keys.len() == 10, "{} of 10 records are there afterwards", keys.len());
    Ok(())
}
