//! Bundles `web/` into the binary: npm with pinned versions, then esbuild, all in `OUT_DIR`. The source tree stays as it is.
//!
//! Without Node, or where npm cannot get its packages, the crate builds all the same and carries the reason why there is no
//! portal; `weft up` and its front door say it.

use std::collections::hash_map::DefaultHasher;
use std::fmt::Write as _;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Oldest Node whose features the bundler uses; Debian 12 has it.
const NODE_MAJOR_LEAST: u32 = 18;
/// Entry points of `web/src`, each its own bundle.
const SCRIPTS: [&str; 3] = ["site", "tail", "console"];
const STYLE: &str = "site.css";

fn main() {
    println!("cargo:rerun-if-changed=web");
    println!("cargo:rerun-if-changed=build.rs");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let code = match bundle(&out) {
        Ok(files) => files,
        Err(why) => {
            println!("cargo:warning=no portal in this build: {why}");
            // Looked for again by the next build: this path is never there.
            println!("cargo:rerun-if-changed=web/.look-for-node-again");
            format!("pub(crate) static BUNDLE: Result<&[Asset], &str> = Err({why:?});\n")
        }
    };
    fs::write(out.join("bundle.rs"), code).expect("OUT_DIR can be written");
}

fn bundle(out: &Path) -> Result<String, String> {
    check_node()?;
    let web = out.join("web");
    install(&web)?;
    let source = Path::new("web/src");
    let _ = fs::remove_dir_all(web.join("src"));
    copy(source, &web.join("src"))?;
    let mut esbuild = Command::new("node");
    esbuild.current_dir(&web).arg("node_modules/esbuild/bin/esbuild");
    for script in SCRIPTS {
        esbuild.arg(format!("src/{script}.js"));
    }
    esbuild.arg(format!("src/{STYLE}"));
    esbuild.args(["--bundle", "--minify", "--format=esm", "--target=es2022", "--charset=utf8", "--outdir=dist"]);
    esbuild.args(["--log-level=warning", "--legal-comments=none"]);
    run(&mut esbuild, "esbuild")?;
    let mut code = "pub(crate) static BUNDLE: Result<&[Asset], &str> = Ok(&[\n".to_owned();
    for name in SCRIPTS.iter().map(|script| format!("{script}.js")).chain([STYLE.to_owned()]) {
        let path = web.join("dist").join(&name);
        let bytes = fs::read(&path).map_err(|error| format!("esbuild left no {name}: {error}"))?;
        let mut hasher = DefaultHasher::new();
        bytes.hash(&mut hasher);
        let version = format!("{:016x}", hasher.finish());
        let path = path.display().to_string();
        writeln!(code, "    Asset {{ name: {name:?}, version: {version:?}, bytes: include_bytes!({path:?}) }},")
            .expect("writing to a String does not fail");
    }
    code.push_str("]);\n");
    Ok(code)
}

fn check_node() -> Result<(), String> {
    let missing = |_| format!("Node {NODE_MAJOR_LEAST} or newer and npm are needed to bundle its scripts");
    let version = Command::new("node").arg("--version").output().map_err(missing)?;
    Command::new("npm").arg("--version").output().map_err(missing)?;
    let version = String::from_utf8_lossy(&version.stdout).trim().to_owned();
    let major = version.trim_start_matches('v').split('.').next().and_then(|major| major.parse::<u32>().ok());
    match major {
        Some(major) if major >= NODE_MAJOR_LEAST => Ok(()),
        _ => Err(format!("Node {NODE_MAJOR_LEAST} or newer is needed to bundle its scripts, and this is {version}")),
    }
}

/// `npm ci`, unless these very versions are there from the build before.
fn install(web: &Path) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("cannot write {}: {error}", web.display());
    let mut pins = String::new();
    for name in ["package.json", "package-lock.json"] {
        pins.push_str(&fs::read_to_string(Path::new("web").join(name)).map_err(failed)?);
    }
    let stamp = web.join(".stamp");
    if fs::read_to_string(&stamp).is_ok_and(|found| found == pins) {
        return Ok(());
    }
    let _ = fs::remove_dir_all(web);
    fs::create_dir_all(web).map_err(failed)?;
    for name in ["package.json", "package-lock.json"] {
        fs::copy(Path::new("web").join(name), web.join(name)).map_err(failed)?;
    }
    let mut npm = Command::new("npm");
    npm.current_dir(web).args(["ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]);
    run(&mut npm, "npm ci")?;
    fs::write(stamp, pins).map_err(failed)
}

fn copy(from: &Path, to: &Path) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("cannot copy {}: {error}", from.display());
    fs::create_dir_all(to).map_err(failed)?;
    for entry in fs::read_dir(from).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().expect("an entry of a folder has a name");
        fs::copy(&path, to.join(name)).map_err(failed)?;
    }
    Ok(())
}

fn run(command: &mut Command, what: &str) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{what} cannot be started: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let line = said.lines().find(|line| !line.trim().is_empty()).unwrap_or("it says nothing");
    Err(format!("{what} failed: {line}"))
}
