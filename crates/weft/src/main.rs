//! The binary: a table of commands, and the node in which the rooms meet.
//!
//! ```text
//!   cli ─► up ──────► log, apply, node, doors        (up.rs: one process)
//!       ─► log ─────► the log alone
//!       ─► plan, apply, product, source ──► a Kafka  (control.rs)
//!       ─► validate, test, explain, doctor           (offline)
//! ```
//!
//! Start reading in `up.rs`, then `node.rs`.
#![expect(clippy::print_stdout, reason = "a command line prints")]

mod access;
mod access_cli;
mod access_cmd;
mod broker;
mod cli;
mod console;
mod control;
mod doctor;
mod doors;
mod edits;
mod explain;
mod folder;
mod front;
mod kafka;
mod kafka_check;
mod log_cmd;
mod membership;
mod metrics;
mod node;
mod node_cmd;
#[cfg(feature = "portal")]
mod portal;
mod product_cmd;
mod report;
mod settings;
mod shutdown;
mod source_cmd;
mod status;
mod test_cmd;
mod up;
mod watcher;
mod writer;

use std::future::Future;
use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;
use cli::{Cli, Command, MeshArgs, NodeCommand, PlanArgs, ProductCommand, SourceCommand, UpArgs};
use weft_catalog::{Connection, Controller, Desired, PlanOptions};
use weft_model::kind::{Diagnostic, Diagnostics, Kind};
use weft_model::load::{self, Files, LoadOptions};
use weft_model::mesh::Mesh;
use weft_model::name::MeshId;

use crate::status::plural;

fn main() -> ExitCode {
    let cli = Cli::parse();
    log_to_stderr(cli.verbose);
    match run(cli.command) {
        Ok(code) => code,
        Err(findings) => {
            report::print(&findings);
            report::exit_code(&findings)
        }
    }
}

fn run(command: Command) -> Result<ExitCode, Diagnostics> {
    match command {
        Command::Up(args) => done(block_on(up::run(up_options(args)))),
        Command::Log(args) => {
            let mut overrides = args.overrides;
            overrides.extend(args.fsync.mode.map(|mode| ("fsync".to_owned(), mode.to_string())));
            done(block_on(log_cmd::run(args.data, args.listen, &load::log_overrides(&overrides)?)))
        }
        Command::Validate(args) => {
            let folder = folder::Folder::read(&args.folder, &args.load_options(), &Desired::default())?;
            println!(
                "mesh \"{}\" is valid: {}, {}, {}",
                folder.mesh.id,
                plural(folder.mesh.domains.len(), "domain"),
                plural(folder.mesh.products.len(), "product"),
                plural(folder.programs.len(), "transform")
            );
            Ok(ExitCode::SUCCESS)
        }
        Command::Plan(args) => block_on(plan(args, None)),
        Command::Apply(args) => block_on(plan(args.plan, Some(TakeOver(args.take_over)))),
        Command::Node(NodeCommand::Ls(args)) => {
            let (connection, mesh, desired) = block_on(desired_mesh(args))?;
            print!("{}", block_on(node_cmd::list(&connection, &mesh, &desired))?);
            Ok(ExitCode::SUCCESS)
        }
        Command::Product(ProductCommand::Ls(args)) => {
            let (_, mesh, _) = block_on(desired_mesh(args))?;
            print!("{}", product_cmd::list(&mesh));
            Ok(ExitCode::SUCCESS)
        }
        Command::Product(ProductCommand::Show { product, mesh }) => {
            let (_, mesh, desired) = block_on(desired_mesh(mesh))?;
            print!("{}", product_cmd::show(&mesh, &desired, &product)?);
            Ok(ExitCode::SUCCESS)
        }
        Command::Source(SourceCommand::Restart { product, mesh }) => {
            let (connection, mesh, _) = block_on(desired_mesh(mesh))?;
            done(block_on(source_cmd::restart(&connection, &mesh, &product)))
        }
        Command::Client(command) => done(block_on(access_cmd::client(command))),
        Command::Access(command) => done(block_on(access_cmd::access(command))),
        Command::Test(args) => {
            let tally = test_cmd::run(&args.folder, &LoadOptions::default(), args.product.as_ref())?;
            Ok(if tally.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Command::Explain { code } => {
            print!("{}", explain::run(code.as_deref())?);
            Ok(ExitCode::SUCCESS)
        }
        Command::Doctor(args) => {
            let options = doctor::DoctorOptions {
                folder: args.folder,
                data: args.data,
                kafka_listen: args.kafka_listen,
                http_listen: args.http_listen,
                kafka: args.kafka,
            };
            let checks = block_on(async { Ok(doctor::run(&options).await) })?;
            print!("{}", doctor::render(&checks, report::colour(&std::io::stdout())));
            Ok(if doctor::healthy(&checks) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Command::Version => {
            println!("weft {}", env!("CARGO_PKG_VERSION"));
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn done(result: Result<(), Diagnostics>) -> Result<ExitCode, Diagnostics> {
    result.map(|()| ExitCode::SUCCESS)
}

fn up_options(args: UpArgs) -> up::UpOptions {
    up::UpOptions {
        load: args.folder.load_options(),
        folder: args.folder.folder,
        kafka: args.kafka,
        embedded: args.embedded,
        kafka_listen: args.kafka_listen,
        http_listen: args.http_listen,
        data: args.data,
        node: args.node.unwrap_or_else(membership::default_name),
        fsync: args.fsync.mode,
        replay: args.speed,
    }
}

/// Even from a node that writes the desired state.
struct TakeOver(bool);

/// Prints the plan; with `apply`, makes it true.
async fn plan(args: PlanArgs, apply: Option<TakeOver>) -> Result<ExitCode, Diagnostics> {
    let load = args.folder.load_options();
    let files = Files::read_folder(&args.folder.folder)?;
    let mesh = load::load(&files, &load)?.id;
    let (node, folder) = (load::node(&files)?, &args.folder.folder);
    let guarded = access_cmd::guarded_data(node.access.enabled, folder, args.data);
    let kafka = args.kafka.or_default(&node.clusters, folder, guarded.as_deref())?;
    let connection = kafka.reached(&mesh).await?;
    let wishes = PlanOptions { delete_data: args.delete_data, topics: connection.topics };
    let planned = control::plan_files(&connection, files, &load, &wishes).await?;
    print!("{}", planned.plan);
    if planned.plan.is_refused() {
        return Err(planned.plan.diagnostics());
    }
    let Some(TakeOver(take_over)) = apply else { return Ok(ExitCode::SUCCESS) };
    if !take_over
        && !planned.plan.is_empty()
        && let Some(writer) = membership::other_writer(&connection, &mesh, None).await?
    {
        return Err(membership::not_the_writer(&mesh, &writer));
    }
    let mut controller = Controller::new(connection, mesh, &control::process_name());
    let applied = control::apply(&mut controller, &planned).await?;
    if applied.changed {
        println!("applied: revision {} (was {})", applied.revision, planned.desired.revision);
    } else {
        println!("nothing to do: revision {} holds", applied.revision);
    }
    Ok(ExitCode::SUCCESS)
}

/// The mesh as it is desired now.
async fn desired_mesh(args: MeshArgs) -> Result<(Connection, Mesh, Desired), Diagnostics> {
    let (id, clusters, is_guarded) = match args.mesh {
        Some(id) => (id, Vec::new(), false),
        None => {
            let files = Files::read_folder(&args.folder)?;
            let node = load::node(&files)?;
            (load::load(&files, &LoadOptions::default())?.id, node.clusters, node.access.enabled)
        }
    };
    let guarded = access_cmd::guarded_data(is_guarded, &args.folder, args.data);
    let kafka = args.kafka.or_default(&clusters, &args.folder, guarded.as_deref())?;
    let connection = kafka.reached(&id).await?;
    let desired = Desired::read(&connection, &id).await.map_err(|error| error.diagnostics(&id))?;
    if desired.revision == 0 {
        return Err(Diagnostics::from(never_applied(&id, &kafka.bootstrap)));
    }
    let mesh = load::load(&desired.files(), &desired.load_options())?;
    Ok((connection, mesh, desired))
}

fn never_applied(mesh: &MeshId, kafka: &str) -> Diagnostic {
    Diagnostic {
        kind: Kind::NotFound,
        code: "NODE-007",
        what: format!("no mesh \"{mesh}\" on the Kafka at {kafka}"),
        because: "nothing was ever applied there under this id".to_owned(),
        try_: "`weft up FOLDER` or `weft apply FOLDER` brings it there; --kafka names another Kafka".to_owned(),
        place: None,
    }
}

/// Runs to its end on a runtime with one thread per core.
fn block_on<T>(future: impl Future<Output = Result<T, Diagnostics>>) -> Result<T, Diagnostics> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| {
        Diagnostics::from(Diagnostic {
            kind: Kind::Unavailable,
            code: "NODE-008",
            what: "could not start threads".to_owned(),
            because: error.to_string(),
            try_: "raise the limit of processes (ulimit -u)".to_owned(),
            place: None,
        })
    })?;
    runtime.block_on(future)
}

fn log_to_stderr(verbose: u8) {
    let default = match verbose {
        // librdkafka tells every refused connection; our rooms say themselves what they could not do.
        0 => "error,librdkafka=off,rdkafka=off",
        1 => "info,librdkafka=warn",
        _ => "debug,librdkafka=info",
    };
    let filter = tracing_subscriber::EnvFilter::try_from_env("WEFT_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(default));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
}
