//! The standards' schemas are the ones we pinned, byte for byte.

use sha2::{Digest, Sha256};

#[test]
fn pinned_schemas_are_unchanged() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas");
    let pins = [
        ("odps-v1.1.0.json", "b7eae1af15b3c6b18e5dffaa2119212acb38ec73286933c76d16c8712e0d90d1"),
        ("odps-v1.0.0.json", "1724c7a1bba8cbf5da971f2b16a354a5daa79b888b4ef4aeeefd8d3cd7a6d34f"),
        ("odcs-v3.1.0.json", "1a35de14c688b400fef306564f66e2af3304f057cd5cd6e7b847c1a8bf252c5b"),
        ("odcs-v3.0.2.json", "fc9d774ea73d13b473a52868eb8e66784f3a031794d1d22dd94d76f8c9c07c79"),
        ("odcs-v3.2.0.strict-ids.json", "4b530540c9182db45ad879867d9c83a92feefc7c2d911b4b56338b0328070d7c"),
        ("odcs-v3.2.0.loose-ids.json", "171420cb211c3fba7b0b0ee4939e43112cfac661386159cc4e123667846056c8"),
    ];
    for (file, pin) in pins {
        let digest: String = Sha256::digest(std::fs::read(folder.join(file)).unwrap())
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(digest, pin, "{file}");
    }
    let present = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut json: Vec<String> = present.filter(|name| name.ends_with(".json")).collect();
    json.sort();
    let mut pinned: Vec<&str> = pins.iter().map(|(file, _)| *file).collect();
    pinned.sort_unstable();
    assert_eq!(json, pinned);
}
