//! The folder of this node, and whether it is the one that the mesh's desired state is written from.
//!
//! ```text
//!   start, edit ─► the folder says something else?
//!                    no  ─► nothing to do
//!                    yes ─► another node lives that writes?  yes ─► say whose folder counts, and follow
//!                                                            no  ─► plan, apply: this node writes from now on
//! ```
//! The transactional id of the controller sees to it that two who try at once do not mix; who lost follows.

use std::path::Path;

use weft_catalog::{Connection, Controller, Desired, PlanOptions};
use weft_model::kind::{Diagnostics, Kind};
use weft_model::load::{Files, LoadOptions};
use weft_model::name::{MeshId, NodeName};

use crate::console::Console;
use crate::control::{self, Planned, apply, plan_on};
use crate::edits::{Edits, Word};
use crate::membership::{not_the_writer, other_writer};

/// Applies the folder, where that is this node's to do.
pub(crate) struct Writer {
    connection: Connection,
    mesh: MeshId,
    node: NodeName,
    load: LoadOptions,
    controller: Controller,
    writes: bool,
}

impl Writer {
    /// One that has written nothing yet.
    pub(crate) fn new(connection: Connection, mesh: MeshId, node: &NodeName, load: LoadOptions) -> Self {
        let name = format!("node {node} ({})", control::process_name());
        let controller = Controller::new(connection.clone(), mesh.clone(), &name);
        Self { connection, mesh, node: node.clone(), load, controller, writes: false }
    }

    /// Is the desired state written from this node's folder?
    pub(crate) fn writes(&self) -> bool {
        self.writes
    }

    /// The first apply of this process. Refused on a mesh that already runs: the old version runs on.
    pub(crate) async fn first_apply(&mut self, folder: &Path, console: &Console) -> Result<Desired, Diagnostics> {
        let desired = self.read().await?;
        let files = Files::read_folder(folder)?;
        let planned = self.plan(files, &desired).await;
        match self.apply(planned).await {
            Ok(Some((planned, revision))) => {
                console.applied(&planned.plan, revision);
                self.read().await
            }
            Ok(None) => Ok(desired),
            Err(findings) => {
                // Another may have been quicker on a mesh that was empty a moment ago.
                let now = if is_fenced(&findings) { self.read().await? } else { desired };
                if now.revision == 0 {
                    return Err(findings);
                }
                console.refused(&findings, now.revision, &Word::Findings);
                Ok(now)
            }
        }
    }

    /// The folder changed: applies it, or says why not.
    pub(crate) async fn edited(&mut self, desired: &Desired, edits: &mut Edits, console: &Console) {
        let files = match edits.read() {
            Ok(files) => files,
            Err(findings) => {
                return console.refused(&findings, desired.revision, &edits.refused(Files::default(), &findings));
            }
        };
        let planned = self.plan(files.clone(), desired).await;
        match self.apply(planned).await {
            Ok(planned) => {
                edits.accepted();
                if let Some((planned, revision)) = planned {
                    console.applied(&planned.plan, revision);
                }
                if let Some(line) = edits.waiting_for_restart(&files) {
                    console.say(&line);
                }
            }
            Err(findings) => console.refused(&findings, desired.revision, &edits.refused(files, &findings)),
        }
    }

    async fn read(&self) -> Result<Desired, Diagnostics> {
        Desired::read(&self.connection, &self.mesh).await.map_err(|error| error.diagnostics(&self.mesh))
    }

    /// Nothing is deleted under `weft up`.
    async fn plan(&self, files: Files, desired: &Desired) -> Result<Planned, Diagnostics> {
        let wishes = PlanOptions { topics: self.connection.topics, ..PlanOptions::default() };
        plan_on(&self.connection, files, &self.load, &wishes, desired.clone()).await
    }

    /// Applies what was planned, if there is something to apply and this node may.
    async fn apply(&mut self, planned: Result<Planned, Diagnostics>) -> Result<Option<(Planned, u64)>, Diagnostics> {
        let planned = planned?;
        let other = if self.writes { None } else { self.other().await? };
        if planned.plan.is_empty() && !planned.plan.is_refused() {
            self.writes = other.is_none();
            return Ok(None);
        }
        if let Some(other) = other {
            return Err(not_the_writer(&self.mesh, &other));
        }
        if planned.plan.is_refused() {
            return Err(planned.plan.diagnostics());
        }
        match apply(&mut self.controller, &planned).await {
            Ok(applied) => {
                self.writes = true;
                Ok(Some((planned, applied.revision)))
            }
            Err(findings) => {
                if is_fenced(&findings) {
                    self.writes = false;
                }
                Err(findings)
            }
        }
    }

    async fn other(&self) -> Result<Option<weft_catalog::NodeRecord>, Diagnostics> {
        other_writer(&self.connection, &self.mesh, Some(&self.node)).await
    }
}

fn is_fenced(findings: &Diagnostics) -> bool {
    findings.0.iter().any(|finding| finding.kind == Kind::Fenced)
}
