//! Why a question gets no answer.

use weft_model::kind::{Diagnostic, Kind};
use weft_model::name::PortId;

/// Why a pull, SQL or stream query has no answer. Every bound has its own variant and names its limit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// No such port for this caller.
    #[error("no output port \"{port}\"")]
    UnknownPort {
        /// As asked for.
        port: String,
    },
    /// The port is there, and not for this caller.
    #[error("nobody has granted it to {principal}")]
    MayNotRead {
        /// Who asked.
        principal: String,
        /// What for.
        port: PortId,
    },
    /// A bound on a column that cannot be asked for.
    #[error("cannot bound column \"{column}\" of port \"{port}\": {because}")]
    BadBound {
        /// The port.
        port: String,
        /// The column as asked for.
        column: String,
        /// What is wrong with it.
        because: String,
    },
    /// A page token that this port did not give, or gave in another generation or to another question.
    #[error("the page token cannot be used: {because}")]
    BadPageToken {
        /// What is wrong with it.
        because: String,
    },
    /// A resume token that is not one of ours.
    #[error("the resume token cannot be used: {because}")]
    BadResumeToken {
        /// What is wrong with it.
        because: String,
    },
    /// More rows than `rows_max`.
    #[error("the answer has more than {rows_max} rows")]
    TooManyRows {
        /// The limit.
        rows_max: usize,
    },
    /// More bytes than `bytes_max`.
    #[error("the answer has more than {bytes_max} bytes")]
    TooManyBytes {
        /// The limit.
        bytes_max: usize,
    },
    /// Longer than `time_ms_max`.
    #[error("the query ran longer than {time_ms_max} ms")]
    TooSlow {
        /// The limit.
        time_ms_max: u64,
    },
    /// No free place within the wait.
    #[error("all {bound} places of `{what}` are taken")]
    Busy {
        /// Config key of the bound.
        what: &'static str,
        /// Its value.
        bound: usize,
    },
    /// SQL asked for more memory than there is for queries.
    #[error("the query needs more than the {memory_bytes} bytes there are for SQL")]
    OutOfMemory {
        /// The limit.
        memory_bytes: usize,
    },
    /// Not a query.
    #[error("only queries are answered here: {because}")]
    NotAQuery {
        /// Which statement.
        because: String,
    },
    /// SQL that does not parse, bind, or that failed on the data.
    #[error("the query cannot be run: {because}")]
    BadSql {
        /// What DataFusion says, first line.
        because: String,
    },
    /// The reader of a stream took nothing for `stream_stall_ms`.
    #[error("the reader took nothing for {wait_ms} ms and was cut off")]
    SlowReader {
        /// The bound.
        wait_ms: u64,
    },
    /// The port's topic cannot be read now.
    #[error("port \"{port}\" cannot be read now: {because}")]
    Unavailable {
        /// The port.
        port: String,
        /// What the client says.
        because: String,
    },
    /// The index on disk failed.
    #[error("the index failed: {because}")]
    Index {
        /// What the store says.
        because: String,
    },
}

impl QueryError {
    /// What the caller does about it.
    pub fn kind(&self) -> Kind {
        match self {
            Self::UnknownPort { .. } => Kind::NotFound,
            Self::MayNotRead { .. } => Kind::Denied,
            Self::BadBound { .. }
            | Self::BadPageToken { .. }
            | Self::BadResumeToken { .. }
            | Self::NotAQuery { .. }
            | Self::BadSql { .. } => Kind::Invalid,
            Self::TooManyRows { .. } | Self::TooManyBytes { .. } | Self::TooSlow { .. } | Self::OutOfMemory { .. } => {
                Kind::TooLarge
            }
            Self::Busy { .. } | Self::SlowReader { .. } => Kind::Busy,
            Self::Unavailable { .. } => Kind::Unavailable,
            Self::Index { .. } => Kind::Corrupt,
        }
    }

    /// Stable code; `weft explain` has a page for each.
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownPort { .. } => "SQL-101",
            Self::MayNotRead { .. } => "ACCESS-003",
            Self::BadBound { .. } => "SQL-102",
            Self::BadPageToken { .. } => "SQL-103",
            Self::BadResumeToken { .. } => "SQL-104",
            Self::TooManyRows { .. } => "SQL-105",
            Self::TooManyBytes { .. } => "SQL-106",
            Self::TooSlow { .. } => "SQL-107",
            Self::Busy { .. } => "SQL-108",
            Self::OutOfMemory { .. } => "SQL-109",
            Self::NotAQuery { .. } => "SQL-110",
            Self::BadSql { .. } => "SQL-111",
            Self::SlowReader { .. } => "SQL-112",
            Self::Unavailable { .. } => "SQL-113",
            Self::Index { .. } => "SQL-114",
        }
    }

    /// The sentence it reaches a person as.
    pub fn diagnostic(&self) -> Diagnostic {
        let what = match self {
            Self::MayNotRead { port, .. } => format!("cannot read port \"{port}\""),
            _ => "cannot answer the query".to_owned(),
        };
        let try_ = match self {
            Self::MayNotRead { .. } => "ask for it on the page of its product, or with `weft access request`",
            Self::UnknownPort { .. } => {
                "`weft product ls` lists what there is; names are \"domain\".\"product\".\"port\""
            }
            Self::BadBound { .. } => "bound key columns of an upsert port, or the event time of an append port",
            Self::BadPageToken { .. } => "ask again without a page token",
            Self::BadResumeToken { .. } => "connect again without a token",
            Self::TooManyRows { .. } | Self::TooManyBytes { .. } => "ask for less: LIMIT, a filter, or pages",
            Self::TooSlow { .. } | Self::OutOfMemory { .. } => {
                "narrow the query with a filter on a key or the event time"
            }
            Self::Busy { .. } | Self::Unavailable { .. } => "try again in a moment",
            Self::NotAQuery { .. } => "send one SELECT",
            Self::BadSql { .. } => "tables are \"domain\".\"product\".\"port\", or \"port@1\" to pin a major",
            Self::SlowReader { .. } => "connect again with the last resume token, and read faster",
            Self::Index { .. } => {
                "stop the node, delete the folder `views` in its data directory, start it: it rebuilds"
            }
        };
        Diagnostic {
            kind: self.kind(),
            code: self.code(),
            what,
            because: self.to_string(),
            try_: try_.to_owned(),
            place: None,
        }
    }
}

impl From<fjall::Error> for QueryError {
    fn from(error: fjall::Error) -> Self {
        Self::Index { because: error.to_string() }
    }
}

/// Why the views did not start.
#[derive(Debug, thiserror::Error)]
pub enum ViewsError {
    /// The folder of the indexes.
    #[error("the indexes in {path} cannot be opened: {because}")]
    Open {
        /// The folder.
        path: std::path::PathBuf,
        /// What the store says.
        because: String,
    },
    /// A Kafka client could not be made.
    #[error("the Kafka client cannot be made: {because}")]
    Client {
        /// What librdkafka says.
        because: String,
    },
    /// Threads.
    #[error("the SQL threads cannot be started: {because}")]
    Threads {
        /// What the system says.
        because: String,
    },
}
