//! The command line: what can be asked, and the `--help` that says so. What it means is in `main.rs`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use weft_model::load::LoadOptions;
use weft_model::mesh::Replay;
use weft_model::name::{DomainName, MeshId, NodeName, ProductId, ProductName};
use weft_model::settings::Fsync;

use crate::access_cli::{AccessCommand, ClientCommand};
use crate::kafka::KafkaArgs;

/// Where a Kafka is looked for unless said otherwise.
pub(crate) const KAFKA_DEFAULT: &str = "127.0.0.1:9092";

/// A streaming data mesh in one binary.
#[derive(Debug, Parser)]
#[command(
    name = "weft",
    version,
    arg_required_else_help = true,
    propagate_version = true,
    disable_help_subcommand = true,
    max_term_width = 110,
    after_help = "\
Examples:
  weft up examples/flights                  run the example mesh: log, engine and HTTP in one process
  weft validate my-mesh                     check every descriptor, offline
  weft plan my-mesh && weft apply my-mesh   show what would change on a running Kafka, then change it
  weft explain MODEL-003                    what an error code means

`weft COMMAND --help` has examples of each. Errors end with a code; `weft explain CODE` has a page for it."
)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,

    /// Log more on standard error: -v what happens, -vv every step. `WEFT_LOG` takes a filter such as `weft_stream=debug`.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

/// Every command.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a mesh: log, engine and HTTP in one process; edits of the folder are applied while it runs.
    #[command(after_help = "\
Examples:
  weft up examples/flights
  weft up examples/flights --partitions 4 --source flight-ops.flights=/data/flights-2013.csv
  weft up my-mesh --kafka-listen 127.0.0.1:0 --http-listen 127.0.0.1:0 --data /tmp/my-mesh
  weft up my-mesh --kafka broker-1.example:9092,broker-2.example:9092
  weft up my-mesh --cluster prod            on the Kafka that section `clusters` of weft.yaml calls prod
  weft up my-mesh --cluster prod --node b   the second of several nodes
  weft up my-mesh --speed 3600              an hour of events per second")]
    Up(UpArgs),

    /// Run the Kafka-compatible log alone.
    #[command(after_help = "\
Examples:
  weft log --data /var/lib/weft
  weft log --data /tmp/log --listen 127.0.0.1:0 --fsync interval:50
  weft log --data /tmp/log --override auto_create_topics=true --override partitions_default=4")]
    Log(LogArgs),

    /// Check every descriptor, contract and SQL of a folder, offline.
    #[command(after_help = "\
Examples:
  weft validate examples/flights
  cd my-mesh && weft validate")]
    Validate(FolderArgs),

    /// Show what `apply` would change, and what it would do to products downstream.
    #[command(after_help = "\
Examples:
  weft plan my-mesh
  weft plan my-mesh --kafka broker.example:9092
  weft plan my-mesh --cluster prod
  weft plan my-mesh --delete-data sales.orders       the plan with that data gone")]
    Plan(PlanArgs),

    /// Make the folder the desired state. Doing it twice changes nothing; after a crash, do it again.
    #[command(after_help = "\
Examples:
  weft apply my-mesh
  weft apply my-mesh --kafka broker.example:9092
  weft apply my-mesh --delete-data sales.orders      delete the topics and state of a retired product")]
    Apply(ApplyArgs),

    /// List data products, or show one.
    #[command(subcommand)]
    Product(ProductCommand),

    /// Look at the nodes that run a mesh.
    #[command(subcommand)]
    Node(NodeCommand),

    /// Applications that read ports with a key of their own.
    #[command(subcommand)]
    Client(ClientCommand),

    /// Who may read what: requests, decisions, and why.
    #[command(subcommand)]
    Access(AccessCommand),

    /// Run the tests of a folder's products: given rows in, expected rows out, offline.
    #[command(after_help = "\
Examples:
  weft test examples/flights
  weft test examples/flights insights.delays")]
    Test(TestArgs),

    /// Act on a source product.
    #[command(subcommand)]
    Source(SourceCommand),

    /// Say what an error code means; without a code, list all.
    #[command(after_help = "\
Examples:
  weft explain MODEL-003
  weft explain                              every code with its title")]
    Explain {
        /// Code from the last line of an error.
        code: Option<String>,
    },

    /// Check this machine: ports or the Kafka outside, data directory, disk, limits, clock, and that a folder loads.
    #[command(after_help = "\
Examples:
  weft doctor
  weft doctor examples/flights --data /var/lib/weft
  weft doctor my-mesh --cluster prod")]
    Doctor(DoctorArgs),

    /// Print the version.
    Version,
}

/// `weft up`.
#[derive(Debug, Args)]
#[command(mut_arg("fsync", |fsync| fsync.conflicts_with_all(["kafka", "cluster"])))]
pub(crate) struct UpArgs {
    /// Folder, and what overrides its descriptors.
    #[command(flatten)]
    pub(crate) folder: FolderArgs,

    /// A Kafka in place of the log in this process.
    #[command(flatten)]
    pub(crate) kafka: KafkaArgs,

    /// The log in this process, though `weft.yaml` has a section `clusters`.
    #[arg(long, conflicts_with_all = ["kafka", "cluster"])]
    pub(crate) embedded: bool,

    /// Where the log listens for Kafka clients, in place of `weft.yaml`; port 0: any free one, printed.
    #[arg(long, value_name = "IP:PORT", conflicts_with_all = ["kafka", "cluster"])]
    pub(crate) kafka_listen: Option<SocketAddr>,

    /// Where HTTP listens, in place of `weft.yaml`; port 0: any free one, printed.
    #[arg(long, value_name = "HOST:PORT", value_parser = host_port)]
    pub(crate) http_listen: Option<String>,

    /// Where data lies. Default: `.weft` beside `weft.yaml`.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,

    /// This node's name among the nodes of the mesh on one Kafka; the same after a restart. Default: the host's name.
    #[arg(long, value_name = "NAME")]
    pub(crate) node: Option<NodeName>,

    /// Speed of all replays, in place of `weft.yaml`: `max`, or a multiple of real time.
    #[arg(long, value_name = "max|TIMES", value_parser = speed)]
    pub(crate) speed: Option<Replay>,

    /// When an append counts as done.
    #[command(flatten)]
    pub(crate) fsync: FsyncArgs,
}

/// `weft log`.
#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    /// Where data lies; made if it is not there.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: PathBuf,

    /// Where Kafka clients connect; port 0: any free one, printed.
    #[arg(long, value_name = "IP:PORT", default_value = KAFKA_DEFAULT)]
    pub(crate) listen: SocketAddr,

    /// When an append counts as done.
    #[command(flatten)]
    pub(crate) fsync: FsyncArgs,

    /// Another value for a key of section `log` of `weft.yaml` (docs/descriptors.md lists them); may be given for several.
    #[arg(long = "override", value_name = "KEY=VALUE", value_parser = key_value)]
    pub(crate) overrides: Vec<(String, String)>,
}

/// A mesh folder, and what may override its descriptors.
#[derive(Debug, Args)]
pub(crate) struct FolderArgs {
    /// The folder of `weft.yaml`.
    #[arg(default_value = ".")]
    pub(crate) folder: PathBuf,

    /// Partitions of every port of the mesh, in place of its descriptors. It cannot change once data is there.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=PARTITIONS_MAX))]
    pub(crate) partitions: Option<u32>,

    /// Another file for a source product; may be given for several.
    #[arg(long = "source", value_name = "PRODUCT=FILE", value_parser = source_file)]
    pub(crate) sources: Vec<(ProductId, String)>,
}

/// Most partitions that a command line may ask for.
const PARTITIONS_MAX: i64 = 1024;

impl FolderArgs {
    /// As the loader takes them; of two files for one product the later counts.
    pub(crate) fn load_options(&self) -> LoadOptions {
        LoadOptions { source_files: self.sources.iter().cloned().collect(), partitions: self.partitions }
    }
}

/// `weft apply`.
#[derive(Debug, Args)]
pub(crate) struct ApplyArgs {
    /// What to apply, and where.
    #[command(flatten)]
    pub(crate) plan: PlanArgs,

    /// Apply though a running node writes the desired state from its folder; it writes no more until it restarts.
    #[arg(long)]
    pub(crate) take_over: bool,
}

/// `weft plan` and `weft apply`.
#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    /// Folder, and what overrides its descriptors.
    #[command(flatten)]
    pub(crate) folder: FolderArgs,

    /// Where the node keeps its data, if access is on and it is not `.weft` in the folder.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,

    /// The Kafka of the mesh. Default: the one in `clusters` of `weft.yaml`, else 127.0.0.1:9092.
    #[command(flatten)]
    pub(crate) kafka: KafkaArgs,

    /// A retired product or topic whose data may be deleted; may be given for several. Nothing else is ever deleted.
    #[arg(long, value_name = "NAME")]
    pub(crate) delete_data: Vec<String>,
}

/// Which mesh on which Kafka, for commands that ask about what runs.
#[derive(Debug, Args)]
pub(crate) struct MeshArgs {
    /// The folder of `weft.yaml`, which names the mesh.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(crate) folder: PathBuf,

    /// The mesh's id, where there is no folder.
    #[arg(long, value_name = "ID", conflicts_with_all = ["folder", "cluster"])]
    pub(crate) mesh: Option<MeshId>,

    /// Where the node keeps its data, if access is on and it is not `.weft` in the folder.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,

    /// The Kafka of the mesh. Default: the one in `clusters` of `weft.yaml`, else 127.0.0.1:9092.
    #[command(flatten)]
    pub(crate) kafka: KafkaArgs,
}

/// `weft product …`.
#[derive(Debug, Subcommand)]
pub(crate) enum ProductCommand {
    /// A line per product: status, owner, ports.
    #[command(after_help = "\
Examples:
  weft product ls --folder examples/flights
  weft product ls --mesh flights --kafka 127.0.0.1:9092")]
    Ls(MeshArgs),

    /// Everything about one product: ports, topics, contracts, who reads it.
    #[command(after_help = "\
Examples:
  weft product show insights.delays --folder examples/flights")]
    Show {
        /// `domain.product`.
        #[arg(value_parser = product_id)]
        product: ProductId,

        /// Which mesh.
        #[command(flatten)]
        mesh: MeshArgs,
    },
}

/// `weft node …`.
#[derive(Debug, Subcommand)]
pub(crate) enum NodeCommand {
    /// A line per node: is it alive, what it runs, how far behind; and a line per product on it.
    #[command(after_help = "\
Examples:
  weft node ls --folder examples/flights
  weft node ls --mesh flights --kafka 127.0.0.1:9092")]
    Ls(MeshArgs),
}

/// `weft source …`.
#[derive(Debug, Subcommand)]
pub(crate) enum SourceCommand {
    /// Begin a new replay of a source, from the first row of its file as it is now.
    #[command(after_help = "\
Examples:
  weft source restart flight-ops.flights --folder examples/flights")]
    Restart {
        /// `domain.product`.
        #[arg(value_parser = product_id)]
        product: ProductId,

        /// Which mesh.
        #[command(flatten)]
        mesh: MeshArgs,
    },
}

/// `weft test`.
#[derive(Debug, Args)]
pub(crate) struct TestArgs {
    /// The folder of `weft.yaml`.
    #[arg(default_value = ".")]
    pub(crate) folder: PathBuf,

    /// Only this product's tests.
    #[arg(value_parser = product_id)]
    pub(crate) product: Option<ProductId>,
}

/// `weft doctor`.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// A mesh folder to load. Default: this one, if it has a `weft.yaml`.
    pub(crate) folder: Option<PathBuf>,

    /// Where data would lie. Default: `.weft` in the folder.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,

    /// The Kafka that would carry the mesh. Default: every one in `clusters` of `weft.yaml`.
    #[command(flatten)]
    pub(crate) kafka: KafkaArgs,

    /// Where the log would listen. Default: as the folder's `weft.yaml` says, else 127.0.0.1:9092.
    #[arg(long, value_name = "IP:PORT", conflicts_with_all = ["kafka", "cluster"])]
    pub(crate) kafka_listen: Option<SocketAddr>,

    /// Where HTTP would listen. Default: as the folder's `weft.yaml` says, else 127.0.0.1:8080.
    #[arg(long, value_name = "HOST:PORT", value_parser = host_port)]
    pub(crate) http_listen: Option<String>,
}

/// `--fsync`.
#[derive(Debug, Args)]
pub(crate) struct FsyncArgs {
    /// When an append counts as done: `always` after it is on disk; `interval:MS` after the write, synced every MS
    /// milliseconds, which is what a power cut may cost; `os` after the write, synced when the kernel likes. Default:
    /// under `weft up`, `log.fsync` of `weft.yaml`; else `always`.
    #[arg(id = "fsync", long = "fsync", value_name = "always|interval[:MS]|os")]
    pub(crate) mode: Option<Fsync>,
}

/// `host:port`, several with commas.
pub(crate) fn bootstrap(text: &str) -> Result<String, String> {
    text.split(',').try_for_each(|one| host_port(one).map(drop))?;
    Ok(text.to_owned())
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() && !value.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write KEY=VALUE, such as partitions_default=4".to_owned()),
    }
}

fn speed(text: &str) -> Result<Replay, String> {
    if text == "max" {
        return Ok(Replay::Max);
    }
    match text.parse::<f64>() {
        Ok(times) if times.is_finite() && times > 0.0 => Ok(Replay::Times(times)),
        _ => Err("write max, or a multiple of real time above 0, such as 3600".to_owned()),
    }
}

fn product_id(text: &str) -> Result<ProductId, String> {
    let (domain, product) = text.split_once('.').ok_or("write domain.product, such as insights.delays")?;
    let domain: DomainName = domain.parse().map_err(|bad: weft_model::name::BadName| bad.to_string())?;
    let product: ProductName = product.parse().map_err(|bad: weft_model::name::BadName| bad.to_string())?;
    Ok(ProductId { domain, product })
}

fn source_file(text: &str) -> Result<(ProductId, String), String> {
    let shape = "write PRODUCT=FILE, such as flight-ops.flights=/data/flights.csv";
    let (product, file) = text.split_once('=').ok_or(shape)?;
    if file.is_empty() {
        return Err(shape.to_owned());
    }
    // A path on the command line is meant from where the command was typed, one in a descriptor from its folder.
    let file = std::path::absolute(file).map_err(|cause| format!("cannot tell where \"{file}\" is: {cause}"))?;
    let file = file.into_os_string().into_string().map_err(|_| "the path is not UTF-8".to_owned())?;
    Ok((product_id(product)?, file))
}

fn host_port(text: &str) -> Result<String, String> {
    let shape = "write HOST:PORT, such as 127.0.0.1:9092";
    let (host, port) = text.rsplit_once(':').ok_or(shape)?;
    let bracketed = host.starts_with('[') == host.ends_with(']') && (host.starts_with('[') || !host.contains(':'));
    if host.is_empty() || !bracketed || port.parse::<u16>().is_err() {
        return Err(shape.to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split_whitespace())
    }

    #[test]
    fn clap_finds_nothing_wrong() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_example_of_the_help_parses() {
        fn examples(command: &clap::Command, found: &mut Vec<String>) {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            for line in help.lines().filter_map(|line| line.strip_prefix("  ")) {
                for one in line.split(" && ").filter_map(|one| one.trim().strip_prefix("weft ")) {
                    let words = one.split("   ").next().unwrap();
                    found.push(format!("weft {words}"));
                }
            }
            command.get_subcommands().for_each(|one| examples(one, found));
        }
        let mut found = Vec::new();
        examples(&Cli::command(), &mut found);
        assert!(found.len() > 20, "{found:?}");
        for line in found {
            if let Err(wrong) = parse(&line) {
                panic!("{line}: {wrong}");
            }
        }
    }

    #[test]
    fn every_command_has_examples_or_subcommands_that_have() {
        for command in Cli::command().get_subcommands() {
            let examples = command.get_after_help().is_some() || command.get_subcommands().count() > 0;
            assert!(examples || command.get_name() == "version", "{}", command.get_name());
        }
    }

    #[test]
    fn what_a_value_must_be() {
        for (text, mode) in [
            ("interval", Fsync::Interval(100)),
            ("interval:7", Fsync::Interval(7)),
            ("always", Fsync::Always),
            ("os", Fsync::Os),
        ] {
            assert_eq!(text.parse(), Ok(mode));
        }
        assert_eq!(speed("max"), Ok(Replay::Max));
        assert_eq!(speed("0.5"), Ok(Replay::Times(0.5)));
        assert_eq!(host_port("[::1]:0").as_deref(), Ok("[::1]:0"));
        for (line, word) in [
            ("weft up x --fsync sometimes", "always, interval:MS or os"),
            ("weft up x --fsync interval:0", "milliseconds"),
            ("weft up x --speed 0", "multiple of real time"),
            ("weft up x --speed NaN", "multiple of real time"),
            ("weft up x --speed -1", "-1"),
            ("weft up x --partitions 0", "1..=1024"),
            ("weft up x --source flights=/f", "domain.product"),
            ("weft up x --source a.b", "PRODUCT=FILE"),
            ("weft up x --source a.b=", "PRODUCT=FILE"),
            ("weft up x --source A.b=/f", "is not a name"),
            ("weft up x --kafka-listen 9092", "9092"),
            ("weft up x --http-listen 127.0.0.1", "HOST:PORT"),
            ("weft up x --http-listen ::1:80", "HOST:PORT"),
            ("weft plan x --kafka host:99999", "HOST:PORT"),
            ("weft product show delays", "domain.product"),
            ("weft up x --kafka k:1 --cluster prod", "cannot be used with"),
            ("weft up x --kafka k:1 --kafka-listen 127.0.0.1:1", "cannot be used with"),
            ("weft up x --cluster prod --embedded", "cannot be used with"),
            ("weft up x --kafka k:1 --fsync os", "cannot be used with"),
            ("weft plan x --kafka-config f", "--kafka"),
            ("weft log", "--data"),
            ("weft aply x", "apply"),
        ] {
            let wrong = parse(line).expect_err(line).to_string();
            assert!(wrong.contains(word), "{line}: {wrong}");
        }
    }

    #[test]
    fn a_file_on_the_command_line_is_meant_from_where_it_was_typed() {
        let Command::Up(up) =
            parse("weft up mesh --source a.b=x.csv --source a.b=y.csv --source c.d=/z=1.csv").unwrap().command
        else {
            panic!("not up");
        };
        let files = up.folder.load_options().source_files;
        let here = std::env::current_dir().unwrap();
        assert_eq!(files[&product_id("a.b").unwrap()], here.join("y.csv").to_str().unwrap());
        assert_eq!(files[&product_id("c.d").unwrap()], "/z=1.csv");
    }
}
