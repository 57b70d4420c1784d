//! The tests that the example's products bring along, as `weft test` runs them: with one partition and with four, row by
//! row and in batches.

use std::path::Path;

use weft_model::load::{Files, LoadOptions, load, product_tests};
use weft_model::product::Behaviour;
use weft_model::tests::diff;

use crate::offline::{OfflineOptions, run_with};

#[test]
fn the_products_of_the_example_pass_their_own_tests() {
    let files = Files::read_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/flights")).unwrap();
    let mut ran = 0;
    let mut failed = String::new();
    for partitions in [1, 4] {
        let options = LoadOptions { partitions: Some(partitions), ..LoadOptions::default() };
        let mesh = load(&files, &options).unwrap_or_else(|findings| panic!("{findings}"));
        for product in mesh.products.values() {
            if !matches!(product.behaviour, Behaviour::Transform { .. }) {
                continue;
            }
            let program = crate::compile(&mesh, &product.id, None).unwrap_or_else(|findings| panic!("{findings}"));
            for test in product_tests(&files, product, &mesh).unwrap() {
                for batch_rows in [1, 1000] {
                    let options = OfflineOptions { batch_rows, ..OfflineOptions::default() };
                    let output = run_with(&program, &test.given, options)
                        .unwrap_or_else(|error| panic!("{}: {error}", test.name));
                    ran += 1;
                    if let Some(difference) = diff(&test, product, &output.all_rows()) {
                        failed.push_str(&format!(
                            "{} · {} · {partitions} partitions, batches of {batch_rows}\n{difference}",
                            product.id, test.name
                        ));
                    }
                }
            }
        }
    }
    assert!(failed.is_empty(), "{failed}");
    assert!(ran >= 40, "{ran} runs");
}
