//! Plan and apply: from a folder to the desired state of a mesh on some Kafka.

use weft_catalog::{
    Applied, Connection, Controller, Desired, Observed, Plan, PlanOptions, is_weft_log, plan, rehearse,
};
use weft_model::kind::{Diagnostic, Diagnostics, Kind, Place};
use weft_model::load::{self, Files, LoadOptions};
use weft_model::name::MeshId;

use crate::folder::Folder;

/// What `plan` found, with what it was made from.
pub(crate) struct Planned {
    /// What is desired now.
    pub(crate) desired: Desired,
    /// What the folder declares.
    pub(crate) folder: Folder,
    /// The difference.
    pub(crate) plan: Plan,
}

/// Compares the files of a folder with the Kafka behind `connection`.
pub(crate) async fn plan_files(
    connection: &Connection,
    files: Files,
    options: &LoadOptions,
    wishes: &PlanOptions,
) -> Result<Planned, Diagnostics> {
    let mesh = load::load(&files, options)?.id;
    log_has_effect(connection, &files, &mesh).await?;
    let desired = Desired::read(connection, &mesh).await.map_err(|error| error.diagnostics(&mesh))?;
    plan_on(connection, files, options, wishes, desired).await
}

/// Section `log` tunes the embedded log; on another Kafka it would be read by nobody.
async fn log_has_effect(connection: &Connection, files: &Files, mesh: &MeshId) -> Result<(), Diagnostics> {
    let Some(line) = load::node(files)?.settings.section_line("log") else { return Ok(()) };
    if is_weft_log(connection).await.map_err(|error| error.diagnostics(mesh))? {
        return Ok(());
    }
    Err(no_effect(&connection.bootstrap, line))
}

/// Section `log` is there, and the Kafka of the mesh is not the log of this process.
pub(crate) fn no_effect(bootstrap: &str, line: u32) -> Diagnostics {
    Diagnostics::from(Diagnostic {
        kind: Kind::Invalid,
        code: "NODE-009",
        what: "section \"log\" would have no effect".to_owned(),
        because: format!("it tunes Weft's embedded log, and the Kafka at {bootstrap} is another one"),
        try_: "drop the section, and set the same on that Kafka".to_owned(),
        place: Some(Place { file: "weft.yaml".to_owned(), line }),
    })
}

/// The same, with descriptors and desired state at hand.
pub(crate) async fn plan_on(
    connection: &Connection,
    files: Files,
    options: &LoadOptions,
    wishes: &PlanOptions,
    desired: Desired,
) -> Result<Planned, Diagnostics> {
    let folder = Folder::of(files, options, &desired)?;
    let explain = |error: weft_catalog::CatalogError| error.diagnostics(&folder.mesh.id);
    let observed = Observed::read(connection, &folder.mesh, &desired).await.map_err(explain)?;
    let mut plan = plan(&desired, &folder.declared(), &observed, wishes);
    if !plan.is_refused() {
        rehearse(connection, &mut plan).await.map_err(explain)?;
    }
    Ok(Planned { desired, folder, plan })
}

/// Makes the plan true.
pub(crate) async fn apply(controller: &mut Controller, planned: &Planned) -> Result<Applied, Diagnostics> {
    controller.apply(&planned.plan).await.map_err(|error| error.diagnostics(&planned.folder.mesh.id))
}

/// `host/pid`: what a fenced controller will read about the one that took over.
pub(crate) fn process_name() -> String {
    format!("{}/{}", host_name(), std::process::id())
}

/// The name of this host.
pub(crate) fn host_name() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_else(|_| "localhost".to_owned());
    host.trim().to_owned()
}
