//! The text files of a mesh folder, read within bounds.

use std::collections::BTreeMap;
use std::path::Path;

use crate::kind::{Diagnostic, Diagnostics, Kind, Place};
use crate::yaml::FILE_BYTES_MAX;

/// Deepest folder below the mesh folder: `domains/<domain>/<product>/tests`.
const DEPTH_MAX: usize = 4;
/// Most descriptor files of a mesh.
const FILES_MAX: usize = 20_000;
/// Most bytes of all of them.
const BYTES_MAX: usize = 64 << 20;

/// The text files of a mesh by path relative to the folder of `weft.yaml`, `/` between parts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Files(pub BTreeMap<String, String>);

impl Files {
    /// Reads the descriptors of a mesh folder: `weft.yaml` and every `.yaml`, `.yml` and `.sql` below `domains/`. Data
    /// files, hidden files and links to folders are left alone.
    pub fn read_folder(path: &Path) -> Result<Self, Diagnostics> {
        let mut reader = Reader { root: path, files: BTreeMap::new(), bytes: 0, findings: Vec::new() };
        let names = match std::fs::read_dir(path) {
            Ok(_) => ["weft.yaml", "weft.yml"],
            Err(error) => return Err(no_mesh(path, &error.to_string()).into()),
        };
        for name in names {
            if path.join(name).is_file() {
                reader.file(name);
            }
        }
        if !reader.files.contains_key("weft.yaml") && reader.findings.is_empty() {
            let because = match reader.files.is_empty() {
                true => "it has no weft.yaml",
                false => "it has a weft.yml, the file is called weft.yaml",
            };
            return Err(no_mesh(path, because).into());
        }
        if path.join("domains").is_dir() {
            reader.folder("domains", 1);
        }
        if reader.findings.is_empty() { Ok(Self(reader.files)) } else { Err(Diagnostics(reader.findings)) }
    }
}

fn no_mesh(path: &Path, because: &str) -> Diagnostic {
    Diagnostic {
        kind: Kind::NotFound,
        code: "MODEL-001",
        what: format!("no mesh in folder \"{}\"", path.display()),
        because: because.to_owned(),
        try_: "name the folder that holds weft.yaml".to_owned(),
        place: None,
    }
}

struct Reader<'a> {
    root: &'a Path,
    files: BTreeMap<String, String>,
    bytes: usize,
    findings: Vec<Diagnostic>,
}

impl Reader<'_> {
    fn folder(&mut self, relative: &str, depth: usize) {
        let entries = match std::fs::read_dir(self.root.join(relative)) {
            Ok(entries) => entries,
            Err(error) => return self.unreadable(relative, &error.to_string(), "check its permissions"),
        };
        let mut names: Vec<(String, bool)> = Vec::new();
        for entry in entries {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => return self.unreadable(relative, &error.to_string(), "check its permissions"),
            };
            let Ok(name) = entry.file_name().into_string() else {
                self.unreadable(relative, "a file in it has a name that is not UTF-8", "rename that file");
                continue;
            };
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            names.push((name, is_folder));
        }
        names.sort();
        for (name, is_folder) in names {
            if name.starts_with('.') || self.findings.len() > 20 {
                continue;
            }
            let path = format!("{relative}/{name}");
            if is_folder {
                if depth < DEPTH_MAX {
                    self.folder(&path, depth + 1);
                }
            } else if [".yaml", ".yml", ".sql"].iter().any(|end| name.ends_with(end)) {
                self.file(&path);
            }
        }
    }

    fn file(&mut self, relative: &str) {
        let path = self.root.join(relative);
        let too_large = |bytes: u64| bytes > u64::try_from(FILE_BYTES_MAX).unwrap_or(u64::MAX);
        match std::fs::metadata(&path) {
            Err(error) => return self.unreadable(relative, &error.to_string(), "check its permissions"),
            Ok(metadata) if !metadata.is_file() => {
                return self.unreadable(relative, "it is not a regular file", "replace it by a file");
            }
            Ok(metadata) if too_large(metadata.len()) => {
                let because = format!("it has {} bytes, a descriptor may have {FILE_BYTES_MAX}", metadata.len());
                return self.unreadable(relative, &because, "keep data out of descriptors, or split the file");
            }
            Ok(_) => {}
        }
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) => return self.unreadable(relative, &error.to_string(), "check its permissions"),
        };
        self.bytes += bytes.len();
        if self.bytes > BYTES_MAX || self.files.len() >= FILES_MAX {
            let because = format!("a mesh may have {FILES_MAX} descriptor files and {BYTES_MAX} bytes of them");
            return self.unreadable(relative, &because, "keep other files out of `domains/`");
        }
        match String::from_utf8(bytes) {
            Ok(text) => {
                self.files.insert(relative.to_owned(), text);
            }
            Err(error) => {
                let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
                let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
                self.findings.push(Diagnostic {
                    kind: Kind::Invalid,
                    code: "MODEL-003",
                    what: format!("cannot read file \"{relative}\""),
                    because: "it is not UTF-8".to_owned(),
                    try_: "save it as UTF-8".to_owned(),
                    place: Some(Place { file: relative.to_owned(), line: u32::try_from(line).unwrap_or(u32::MAX) }),
                });
            }
        }
    }

    fn unreadable(&mut self, relative: &str, because: &str, try_: &str) {
        self.findings.push(Diagnostic {
            kind: Kind::Invalid,
            code: "MODEL-003",
            what: format!("cannot read \"{relative}\""),
            because: because.to_owned(),
            try_: try_.to_owned(),
            place: None,
        });
    }
}
