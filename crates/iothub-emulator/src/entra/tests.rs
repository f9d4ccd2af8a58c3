//! The check of bearer tokens at the hub, and the plain ways to get one.

use super::*;

const NOW: u64 = 1_767_225_600;
const SCOPE: &str = "https%3A%2F%2Fiothubs.azure.net%2F.default";

fn entra(roles: &str) -> Entra {
    let entra = Entra::new(3599, "header".to_owned());
    let app = format!("client=a+b/c d:{roles}").parse().unwrap();
    entra.apps_mut().add(app);
    entra
}

fn token(entra: &Entra) -> String {
    let body = format!(
        "grant_type=client_credentials&client_id=client&client_secret=a%2Bb%2Fc+d&scope={SCOPE}"
    );
    let (status, answer) = entra.grant("tenant", &body, NOW);
    assert_eq!(
        (status, &answer["expires_in"], &answer["token_type"]),
        (200, &json!(3599), &json!("Bearer"))
    );
    answer["access_token"].as_str().unwrap().to_owned()
}

fn asks(entra: &Entra, body: &str) -> (u16, String) {
    let (status, answer) = entra.grant("tenant", body, NOW);
    (
        status,
        answer["error"].as_str().unwrap_or_default().to_owned(),
    )
}

#[test]
fn a_token_opens_what_the_roles_of_its_application_allow() {
    let entra = entra("IoT Hub Registry Contributor,twins/read");
    let token = token(&entra);
    let ask = |actions: &[&str]| entra.authorize(&token, actions, NOW, 300);
    assert_eq!(ask(&["devices/write", "devices/delete"]), Ok(()));
    assert_eq!(ask(&["twins/read"]), Ok(()));
    assert!(matches!(ask(&["twins/write"]), Err(Denial::Role(_))));
    assert!(matches!(
        ask(&["devices/read", "jobs/read"]),
        Err(Denial::Role(_))
    ));
}

#[test]
fn a_token_is_good_for_its_time_and_from_this_issuer_only() {
    let entra = entra("IoT Hub Data Contributor");
    let token = token(&entra);
    let at = |now| entra.authorize(&token, &[], now, 300);
    assert_eq!(at(NOW + 3599 + 300), Ok(()));
    assert_eq!(at(NOW + 3599 + 301), Err(Denial::Token));
    assert_eq!(at(NOW - 301), Err(Denial::Token));
    let other = self::entra("IoT Hub Data Contributor");
    assert_eq!(other.authorize(&token, &[], NOW, 300), Err(Denial::Token));
    let mut forged = token.clone();
    forged.replace_range(30..31, if &token[30..31] == "A" { "B" } else { "A" });
    assert_eq!(entra.authorize(&forged, &[], NOW, 300), Err(Denial::Token));
    let for_others = entra.workload_token("i", "s", RESOURCE, NOW);
    assert_eq!(
        entra.authorize(&for_others, &[], NOW, 300),
        Err(Denial::Token)
    );
    entra.apps_mut().remove("CLIENT");
    assert_eq!(at(NOW), Err(Denial::Token));
}

#[test]
fn requests_for_a_token_are_refused_with_a_reason() {
    let entra = entra("IoT Hub Data Reader");
    let base = format!("client_id=client&scope={SCOPE}&client_secret=a%2Bb%2Fc+d&grant_type=");
    assert_eq!(
        asks(&entra, &format!("{base}password")),
        (400, "unsupported_grant_type".into())
    );
    let ask = |fields: &str| asks(&entra, &format!("grant_type=client_credentials&{fields}"));
    assert_eq!(ask("client_id=x"), (400, "unauthorized_client".into()));
    assert_eq!(
        ask("client_id=client&scope=https://vault"),
        (400, "invalid_scope".into())
    );
    let scope = format!("client_id=client&scope={SCOPE}");
    assert_eq!(
        ask(&format!("{scope}&client_secret=wrong")),
        (401, "invalid_client".into())
    );
    assert_eq!(ask(&scope), (401, "invalid_client".into()));
    assert_eq!(
        ask(&format!(
            "{scope}&client_assertion=a.b.c&client_assertion_type=x"
        )),
        (401, "invalid_client".into())
    );
    let (_, answer) = entra.grant(
        "tenant",
        &format!("{base}client_credentials&client_secret=wrong"),
        NOW,
    );
    assert!(
        answer["error_description"]
            .as_str()
            .unwrap()
            .starts_with("AADSTS7000215")
    );
    assert!(answer["correlation_id"].is_string());
}

#[test]
fn a_workload_token_stands_for_the_application_it_is_federated_with() {
    let entra = Entra::new(60, String::new());
    let app = r#"{"federated":[{"issuer":"https://k8s","subject":"sa"}],"tenant":"T1"}"#;
    entra.apps_mut().put("client", app.as_bytes()).unwrap();
    let ask = |tenant: &str, subject: &str, audience: &str| {
        let token = entra.workload_token("https://k8s", subject, audience, NOW);
        let kind = "urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer";
        let body = format!(
            "grant_type=client_credentials&client_id=client&scope={SCOPE}&client_assertion_type={kind}&client_assertion={token}"
        );
        entra.grant(tenant, &body, NOW).0
    };
    assert_eq!(ask("t1", "sa", "api://AzureADTokenExchange"), 200);
    assert_eq!(ask("t1", "other", "api://AzureADTokenExchange"), 401);
    assert_eq!(ask("t1", "sa", "else"), 401);
    assert_eq!(ask("t2", "sa", "api://AzureADTokenExchange"), 400);
}

#[test]
fn managed_identities_are_found_by_every_name() {
    let entra = Entra::new(60, "secret".to_owned());
    entra
        .apps_mut()
        .put("own", br#"{"managed":"system"}"#)
        .unwrap();
    entra
        .apps_mut()
        .put("user", br#"{"managed":{"user":"/sub/1"}}"#)
        .unwrap();
    let ask = |query: &str, header| {
        let query =
            format!("api-version=2018-02-01&resource=https%3A%2F%2Fiothubs.azure.net{query}");
        let (status, answer) = entra.managed(managed::Kind::VirtualMachine, &query, header, NOW);
        (
            status,
            answer["client_id"].as_str().map(str::to_owned),
            answer,
        )
    };
    let (status, client, answer) = ask("", Some("true"));
    assert_eq!(
        (status, client.as_deref(), &answer["expires_in"]),
        (200, Some("own"), &json!("60"))
    );
    assert_eq!(answer["expires_on"], (NOW + 60).to_string());
    assert_eq!(
        ask("&client_id=USER", Some("true")).1.as_deref(),
        Some("user")
    );
    assert_eq!(
        ask("&msi_res_id=%2Fsub%2F1", Some("true")).1.as_deref(),
        Some("user")
    );
    assert_eq!(ask("&client_id=x", Some("true")).0, 400);
    assert_eq!((ask("", None).0, ask("", Some("True")).0), (400, 400));
    let app_service = |header| {
        let query = "api-version=2019-08-01&resource=https%3A%2F%2Fiothubs.azure.net";
        entra
            .managed(managed::Kind::AppService, query, header, NOW)
            .0
    };
    assert_eq!(
        (app_service(Some("secret")), app_service(Some("x"))),
        (200, 401)
    );
}

#[test]
fn an_application_names_roles_that_exist() {
    let parse = |text: &str| text.parse::<App>().map(|_| ());
    assert_eq!(parse("id=secret:IoT Hub Data Reader, twins/read"), Ok(()));
    assert!(parse("id=secret:Owner").unwrap_err().contains("Owner"));
    assert!(parse("id=secret").is_err() && parse("=s:twins/read").is_err());
    let shown = entra("twins/read").apps().shown().to_string();
    assert!(
        !shown.contains("a+b") && shown.contains("client"),
        "{shown}"
    );
}
