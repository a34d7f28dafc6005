//! Certificates, keys and kubeconfigs of a cluster.
//!
//! What is there and still right is kept: a certificate is issued again when a file is missing or unreadable, when what it
//! should say has changed, or when the authority is another.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, date_time_ymd,
};

use crate::image::digest;
use crate::layout::{create_private_folder, write_if_changed};

/// The object identifier of an organization name. A Kubernetes group is an organization; rcgen keeps one value per
/// attribute type, and takes this spelling for another type, so that a certificate can have two.
const ORGANIZATION: &[u64] = &[2, 5, 4, 10];

/// The authority of one cluster and the folder of what it issued.
#[derive(Debug)]
pub(crate) struct Authority {
    folder: PathBuf,
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
}

/// Whom a certificate is for. Each serves for both ends of a connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject<'a> {
    /// The common name: Kubernetes' user.
    pub(crate) user: &'a str,
    /// At most two.
    pub(crate) groups: &'a [&'a str],
    /// DNS names and addresses.
    pub(crate) hosts: &'a [String],
}

impl Authority {
    /// The authority in `folder`, made first where it is missing or unreadable.
    pub(crate) fn ready(folder: &Path) -> Result<Self> {
        create_private_folder(folder)?;
        let (key_path, certificate_path) = (folder.join("ca.key"), folder.join("ca.crt"));
        let params = authority_params();
        let there = fs::read_to_string(&key_path)
            .ok()
            .and_then(|pem| KeyPair::from_pem(&pem).ok())
            .zip(
                fs::read_to_string(&certificate_path)
                    .ok()
                    .filter(|pem| pem.contains("END CERTIFICATE")),
            );
        let (key, certificate) = if let Some(pair) = there {
            pair
        } else {
            let key =
                KeyPair::generate().context("generate the key of the certificate authority")?;
            let certificate = params
                .self_signed(&key)
                .context("sign the certificate authority")?
                .pem();
            write_if_changed(&key_path, &key.serialize_pem())?;
            write_if_changed(&certificate_path, &certificate)?;
            (key, certificate)
        };
        Ok(Self {
            folder: folder.to_owned(),
            issuer: Issuer::new(params, key),
            certificate,
        })
    }

    /// Makes sure that `<name>.crt` and `<name>.key` are there for this subject.
    pub(crate) fn issue(&self, name: &str, subject: &Subject<'_>) -> Result<()> {
        let (key_path, certificate_path) = (self.path(name, "key"), self.path(name, "crt"));
        let note_path = self.path(name, "subject");
        let note = format!("{subject:?}\n{}\n", digest(self.certificate.as_bytes()));
        let right = fs::read_to_string(&note_path).is_ok_and(|there| there == note)
            && fs::read_to_string(&key_path).is_ok_and(|pem| KeyPair::from_pem(&pem).is_ok())
            && fs::read_to_string(&certificate_path)
                .is_ok_and(|pem| pem.contains("END CERTIFICATE"));
        if right {
            return Ok(());
        }
        let key = KeyPair::generate().with_context(|| format!("generate the key of {name}"))?;
        let certificate = subject_params(subject)?
            .signed_by(&key, &self.issuer)
            .with_context(|| format!("sign the certificate of {name}"))?;
        write_if_changed(&key_path, &key.serialize_pem())?;
        write_if_changed(&certificate_path, &certificate.pem())?;
        write_if_changed(&note_path, &note)?;
        Ok(())
    }

    /// Makes sure that the key pair which signs ServiceAccount tokens is there: `sa.key` and `sa.pub`.
    pub(crate) fn service_account_keys(&self) -> Result<()> {
        let path = self.path("sa", "key");
        let key = match fs::read_to_string(&path)
            .ok()
            .and_then(|pem| KeyPair::from_pem(&pem).ok())
        {
            Some(key) => key,
            None => KeyPair::generate().context("generate the ServiceAccount key")?,
        };
        write_if_changed(&path, &key.serialize_pem())?;
        write_if_changed(&self.path("sa", "pub"), &key.public_key_pem())?;
        Ok(())
    }

    /// A kubeconfig that holds everything it needs, for the certificate called `name`.
    pub(crate) fn kubeconfig(&self, name: &str, server: &str) -> Result<String> {
        let read = |kind| {
            let path = self.path(name, kind);
            fs::read(&path)
                .map(|bytes| STANDARD.encode(bytes))
                .with_context(|| format!("read {}", path.display()))
        };
        Ok(format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: ironkeel\n\
             clusters:\n- name: ironkeel\n  cluster:\n    server: {server}\n    certificate-authority-data: {ca}\n\
             users:\n- name: {name}\n  user:\n    client-certificate-data: {certificate}\n    client-key-data: {key}\n\
             contexts:\n- name: ironkeel\n  context:\n    cluster: ironkeel\n    user: {name}\n",
            ca = STANDARD.encode(&self.certificate),
            certificate = read("crt")?,
            key = read("key")?,
        ))
    }

    pub(crate) fn path(&self, name: &str, kind: &str) -> PathBuf {
        self.folder.join(format!("{name}.{kind}"))
    }
}

/// The same parameters must describe the authority each time, for the certificates it issues name it by them.
fn authority_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, "ironkeel-testbed");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::CrlSign,
        KeyUsagePurpose::DigitalSignature,
    ];
    valid(&mut params);
    params
}

fn subject_params(subject: &Subject<'_>) -> Result<CertificateParams> {
    let mut params = CertificateParams::new(subject.hosts.to_vec()).with_context(|| {
        format!(
            "host names of the certificate for {}: {:?}",
            subject.user, subject.hosts
        )
    })?;
    params.distinguished_name = DistinguishedName::new();
    let types = [
        DnType::OrganizationName,
        DnType::CustomDnType(ORGANIZATION.to_vec()),
    ];
    if subject.groups.len() > types.len() {
        bail!(
            "user {} has {} groups, and a client certificate of this cluster carries at most {}",
            subject.user,
            subject.groups.len(),
            types.len()
        );
    }
    for (kind, group) in types.into_iter().zip(subject.groups) {
        params.distinguished_name.push(kind, *group);
    }
    params
        .distinguished_name
        .push(DnType::CommonName, subject.user);
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ClientAuth,
        ExtendedKeyUsagePurpose::ServerAuth,
    ];
    params.use_authority_key_identifier_extension = true;
    valid(&mut params);
    Ok(params)
}

/// Longer than any test cluster lives, and long begun on a machine whose clock is wrong.
fn valid(params: &mut CertificateParams) {
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2049, 1, 1);
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{Authority, Subject};

    #[test]
    fn what_is_right_is_kept_and_what_is_not_is_issued_again() {
        let folder = std::env::temp_dir().join(format!("ironkeel-pki-{}", std::process::id()));
        let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
        let subject = Subject {
            user: "someone",
            groups: &["a", "b"],
            hosts: &["localhost".to_owned()],
        };

        Authority::ready(&folder)
            .unwrap()
            .issue("one", &subject)
            .unwrap();
        let first = read("one.crt");
        let again = Authority::ready(&folder).unwrap();
        again.issue("one", &subject).unwrap();
        assert_eq!(first, read("one.crt"));

        again
            .issue(
                "one",
                &Subject {
                    user: "somebody",
                    ..subject
                },
            )
            .unwrap();
        let renamed = read("one.crt");
        assert_ne!(first, renamed);

        fs::write(folder.join("one.key"), "garbage").unwrap();
        again
            .issue(
                "one",
                &Subject {
                    user: "somebody",
                    ..subject
                },
            )
            .unwrap();
        let repaired = read("one.crt");
        assert_ne!(renamed, repaired);

        fs::remove_file(folder.join("ca.key")).unwrap();
        Authority::ready(&folder)
            .unwrap()
            .issue(
                "one",
                &Subject {
                    user: "somebody",
                    ..subject
                },
            )
            .unwrap();
        assert_ne!(repaired, read("one.crt"), "another authority");

        let three = Subject {
            user: "someone",
            groups: &["a", "b", "c"],
            hosts: &[],
        };
        let error = again.issue("three", &three).unwrap_err().to_string();
        assert!(error.contains("3 groups"), "{error}");
        fs::remove_dir_all(folder).unwrap();
    }
}
