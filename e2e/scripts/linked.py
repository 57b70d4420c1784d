"""Reads the catalogue as a program of linked data does: linked.py '{"http": "127.0.0.1:8080"}'."""

import json
import sys
import urllib.request

from rdflib import Graph, Namespace, URIRef
from rdflib.namespace import DCTERMS, FOAF, RDF

a = json.loads(sys.argv[1])
base = f"http://{a['http']}"
DCAT, PROV = Namespace("http://www.w3.org/ns/dcat#"), Namespace("http://www.w3.org/ns/prov#")


def get(path):
    with urllib.request.urlopen(base + path, timeout=30) as answer:
        return answer.read()


graph = Graph().parse(data=get("/v1/catalogue.jsonld"), format="json-ld")
mesh = json.loads(get("/v1/products"))
(catalogue,) = graph.subjects(RDF.type, DCAT.Catalog)

wanted = {base + port["href"]: (product, port) for product in mesh["products"] for port in product["ports"]}
found = {str(dataset) for dataset in graph.objects(catalogue, DCAT.dataset)}
assert found == set(wanted), found ^ set(wanted)
print(f"ok  {len(found)} datasets, one per output port, {len(graph)} triples")

# What DCAT 3 asks of each class, and what readers of ours rely on.
services = set(graph.subjects(RDF.type, DCAT.DataService))
for dataset in map(URIRef, found):
    product, port = wanted[str(dataset)]
    assert (dataset, RDF.type, DCAT.Dataset) in graph
    for property in (DCTERMS.title, DCTERMS.description, DCTERMS.identifier, DCAT.theme):
        assert graph.value(dataset, property), (dataset, property)
    publisher = graph.value(dataset, DCTERMS.publisher)
    assert str(graph.value(publisher, FOAF.name)) == product["owner"], dataset
    distributions = list(graph.objects(dataset, DCAT.distribution))
    assert len(distributions) == 3, distributions
    for distribution in distributions:
        access = graph.value(distribution, DCAT.accessURL)
        assert isinstance(access, URIRef) and str(access).split(":")[0] in ("http", "kafka"), access
        assert graph.value(distribution, DCAT.accessService) in services, distribution
    for source in graph.objects(dataset, PROV.wasDerivedFrom):
        assert str(source) in found, f"{dataset} comes from {source}, which is not in the catalogue"
print("ok  every dataset has title, description, publisher, theme, three ways in, and sources that are there")

# Lineage across two steps, asked in SPARQL.
answer = graph.query(
    """PREFIX prov: <http://www.w3.org/ns/prov#> PREFIX dct: <http://purl.org/dc/terms/>
    SELECT ?id WHERE { ?late dct:identifier "insights.late-arrivals.alerts@1" ; prov:wasDerivedFrom+ ?source . ?source dct:identifier ?id }"""
)
sources = {str(row.id) for row in answer}
assert "flight-ops.flights.flights@1" in sources, sources
print(f"ok  lineage: the alerts come from {sorted(sources)}")
