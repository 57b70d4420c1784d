//! What can be asked about clients and access, and the `--help` that says so. What it means is in `access_cmd.rs`.

use clap::{Args, Subcommand};

use crate::cli::MeshArgs;

/// `weft client …`.
#[derive(Debug, Subcommand)]
pub(crate) enum ClientCommand {
    /// Make a client, and show its key, once.
    #[command(after_help = "\
Examples:
  weft client create dashboards --folder examples/flights")]
    Create {
        /// Its name: 1 to 63 of a-z, 0-9 and -.
        name: String,

        /// Who does it. Default: the user of this system.
        #[arg(long = "as", value_name = "NAME")]
        by: Option<String>,

        /// Which mesh.
        #[command(flatten)]
        mesh: MeshArgs,
    },

    /// A line per client: its key's id, and what it may read.
    #[command(after_help = "\
Examples:
  weft client ls --folder examples/flights")]
    Ls(MeshArgs),

    /// Give a client a new key, and show it, once; the old one opens nothing any more, and what it opened ends.
    #[command(after_help = "\
Examples:
  weft client rotate dashboards --folder examples/flights")]
    Rotate {
        /// Its name.
        name: String,

        /// Who does it. Default: the user of this system.
        #[arg(long = "as", value_name = "NAME")]
        by: Option<String>,

        /// Which mesh.
        #[command(flatten)]
        mesh: MeshArgs,
    },

    /// Put a client out for good. Its name is not given out again.
    #[command(after_help = "\
Examples:
  weft client rm dashboards --folder examples/flights --reason retired")]
    Rm {
        /// Its name.
        name: String,

        /// Why.
        #[arg(long)]
        reason: String,

        /// Who does it. Default: the user of this system.
        #[arg(long = "as", value_name = "NAME")]
        by: Option<String>,

        /// Which mesh.
        #[command(flatten)]
        mesh: MeshArgs,
    },
}

/// `weft access …`.
#[derive(Debug, Subcommand)]
pub(crate) enum AccessCommand {
    /// Ask for a port in the name of a client.
    #[command(after_help = "\
Examples:
  weft access request dashboards insights.delays.current --folder examples/flights --purpose screens")]
    Request {
        /// Who wants to read.
        client: String,

        /// `domain.product.port`; `@1` behind it pins a major, else it is the newest.
        port: String,

        /// What for.
        #[arg(long)]
        purpose: String,

        /// Who asks. Default: the client.
        #[arg(long = "as", value_name = "NAME")]
        by: Option<String>,

        /// Which mesh.
        #[command(flatten)]
        mesh: MeshArgs,
    },

    /// A line per request, those that wait first.
    #[command(after_help = "\
Examples:
  weft access ls --folder examples/flights")]
    Ls(MeshArgs),

    /// Let a client read what it asked for.
    #[command(after_help = "\
Examples:
  weft access approve 1 --folder examples/flights --reason agreed")]
    Approve(Decision),

    /// Turn a request down.
    #[command(after_help = "\
Examples:
  weft access deny 1 --folder examples/flights --reason unclear --as olga")]
    Deny(Decision),

    /// Take back what was approved; open streams and connections end within a second.
    #[command(after_help = "\
Examples:
  weft access revoke 1 --folder examples/flights --reason over")]
    Revoke(Decision),

    /// The records behind an answer: of a request, or of what a client may read.
    #[command(after_help = "\
Examples:
  weft access why 1 --folder examples/flights
  weft access why dashboards insights.delays.current --folder examples/flights")]
    Why {
        /// Number of a request, or name of a client.
        about: String,

        /// Only this port of the client.
        port: Option<String>,

        /// Which mesh.
        #[command(flatten)]
        mesh: MeshArgs,
    },
}

/// A decision on a request.
#[derive(Debug, Args)]
pub(crate) struct Decision {
    /// Its number.
    pub(crate) request: u64,

    /// Why: a sentence for the one who asked and for whoever looks later.
    #[arg(long)]
    pub(crate) reason: String,

    /// Who decides. Default: the user of this system.
    #[arg(long = "as", value_name = "NAME")]
    pub(crate) by: Option<String>,

    /// Which mesh.
    #[command(flatten)]
    pub(crate) mesh: MeshArgs,
}
