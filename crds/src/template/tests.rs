use super::*;

fn definitions() -> Definitions {
    let mut generator = SchemaSettings::openapi3().into_generator();
    generator.subschema_for::<PodTemplateSpec>();
    Definitions(generator.take_definitions(false))
}

#[test]
fn it_builds() {
    assert!(!definitions().0.is_empty());
}
