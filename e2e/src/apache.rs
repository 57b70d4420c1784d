//! Apache Kafka 4.3.1 from its jars: properties, formatting, the command line of a broker.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::peers::{self, Peer};
use crate::process::Process;

const START: Duration = Duration::from_secs(60);

/// Where one broker listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ports {
    /// For clients and other brokers.
    pub(crate) clients: u16,
    /// For the quorum of controllers.
    pub(crate) controller: u16,
}

/// `java` with Kafka's jars, ready for a main class.
pub fn java(folder: &Path) -> Result<Command> {
    let classes = Peer::Kafka.require()?;
    let classes = classes.parent().context("the marker lies in a folder")?;
    let libs = peers::home().join("kafka/libs/*");
    let logging = folder.join("log4j2.properties");
    fs::write(
        &logging,
        "rootLogger.level=warn\nrootLogger.appenderRef.out.ref=out\nappender.out.type=Console\nappender.out.name=out\nappender.out.target=SYSTEM_ERR\nappender.out.layout.type=PatternLayout\nappender.out.layout.pattern=%p %m%n\n",
    )?;
    let mut command = Command::new("java");
    command.args(["-Xmx1g", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=4"]);
    command.arg(format!("-Dlog4j2.configurationFile={}", logging.display()));
    command.arg("-cp").arg(format!("{}:{}", classes.display(), libs.display()));
    Ok(command)
}

/// The command line of a broker that was formatted in `folder`.
pub(crate) fn broker(folder: &Path) -> Result<Command> {
    let mut command = java(folder)?;
    command.arg("kafka.Kafka").arg(folder.join("server.properties"));
    Ok(command)
}

/// Writes `server.properties` of broker `id` (from 1) of `all`, and formats its data directory. A line of `settings` goes over
/// ours; `{port}` and `{controller}` in it are the broker's own. `format` are further arguments of the formatter.
pub(crate) fn format(folder: &Path, id: usize, all: &[Ports], settings: &[String], format: &[String]) -> Result<()> {
    fs::create_dir_all(folder)?;
    let own = all[id - 1];
    let voters: Vec<String> =
        (1..).zip(all).map(|(id, ports): (usize, _)| format!("{id}@127.0.0.1:{}", ports.controller)).collect();
    let (voters, copies, least) = (voters.join(","), all.len(), all.len().div_ceil(2));
    let settings = settings.join("\n");
    let settings =
        settings.replace("{port}", &own.clients.to_string()).replace("{controller}", &own.controller.to_string());
    let text = format!(
        "process.roles=broker,controller\n\
         node.id={id}\n\
         controller.quorum.voters={voters}\n\
         listeners=PLAINTEXT://127.0.0.1:{},CONTROLLER://127.0.0.1:{}\n\
         advertised.listeners=PLAINTEXT://127.0.0.1:{}\n\
         controller.listener.names=CONTROLLER\n\
         listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT\n\
         log.dirs={}\n\
         default.replication.factor={copies}\n\
         offsets.topic.replication.factor={copies}\n\
         offsets.topic.num.partitions=4\n\
         transaction.state.log.replication.factor={copies}\n\
         transaction.state.log.min.isr={least}\n\
         transaction.state.log.num.partitions=4\n\
         share.coordinator.state.topic.replication.factor={copies}\n\
         share.coordinator.state.topic.min.isr={least}\n\
         group.initial.rebalance.delay.ms=0\n\
         auto.create.topics.enable=false\n\
         {settings}\n",
        own.clients,
        own.controller,
        own.clients,
        folder.join("data").display(),
    );
    let properties = folder.join("server.properties");
    fs::write(&properties, text)?;
    let mut command = java(folder)?;
    command.args(["kafka.tools.StorageTool", "format", "-t", "MkU3OEVBNTcwNTJENDM2Qg", "-c"]);
    command.arg(&properties).args(format);
    Process::start("format", command, folder)?.finish(START)?;
    Ok(())
}
