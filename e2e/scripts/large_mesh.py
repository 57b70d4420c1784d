"""Adds domains of products that others run to a mesh folder: FOLDER DOMAINS PRODUCTS_PER_DOMAIN. Each but a domain's first reads
others, some across domains, so that the graph has something to draw."""

import pathlib
import sys

folder, domains, products = pathlib.Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])


def name(domain, product):
    return f"area-{domain:02}", f"product-{product:02}"


def inputs(domain, product):
    if product == 0:
        return []
    read = {(domain, product // 2)}
    if product % 5 == 3 and domain > 0:
        read.add((domain - 1 - (product % domain if domain > 1 else 0), product - 1))
    return sorted(read)


for domain in range(domains):
    root = folder / "domains" / name(domain, 0)[0]
    for product in range(products):
        area, title = name(domain, product)
        place = root / title
        place.mkdir(parents=True)
        (root / "domain.yaml").write_text(f"name: {area}\nowner: team-{domain % 7}\ndescription: Area number {domain}\n")
        read = [(at, f"{area}.{title}") for at in inputs(domain, product)]
        ports = "".join(
            f"  - name: in{i}\n    version: 1.0.0\n    contractId: {name(*at)[0]}.{name(*at)[1]}.out\n    customProperties:\n"
            f"      - {{ property: reads, value: \"weft://{name(*at)[0]}/{name(*at)[1]}/out/v1\" }}\n"
            for i, (at, _) in enumerate(read)
        )
        (place / "product.odps.yaml").write_text(
            f"apiVersion: v1.1.0\nkind: DataProduct\nid: {area}.{title}\nname: {title}\nversion: 1.0.0\nstatus: active\n"
            f"domain: {area}\ntags: [generated, tag-{product % 9}]\ndescription:\n  purpose: Number {product} of area {domain}\n"
            + (f"inputPorts:\n{ports}" if ports else "")
            + f"outputPorts:\n  - name: out\n    type: kafka\n    version: 1.0.0\n    contractId: {area}.{title}.out\n"
            f"team:\n  name: team-{domain % 7}\n"
        )
        (place / "external.yaml").write_text("technology: none\ndescription: Generated\n")
        (place / "out.odcs.yaml").write_text(
            f"apiVersion: v3.1.0\nkind: DataContract\nid: {area}.{title}.out\nname: Out\nversion: 1.0.0\nstatus: active\n"
            f"domain: {area}\ndescription:\n  purpose: What comes out\nschema:\n  - name: Row\n    physicalName: {area}.{title}.out.v1\n"
            "    physicalType: topic\n    logicalType: object\n    customProperties:\n      - { property: kind, value: append }\n"
            "    properties:\n      - { name: number, logicalType: integer, required: true, description: A number }\n"
        )
print(domains * products)
