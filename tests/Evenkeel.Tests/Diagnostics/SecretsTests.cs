using System.Security.Cryptography;
using Evenkeel.Agent.Diagnostics;
using Evenkeel.Tests.Cli;
using Xunit;

namespace Evenkeel.Tests.Diagnostics;

public sealed class SecretsTests
{
    private static readonly Secrets s_none = new([]);

    [Theory]
    [InlineData("{ agent: fence_ipmilan, ip: 10.20.0.11, password: hunter22 }", "hunter22")]
    [InlineData("fence: { agent: fence_x, snmp: abc }", "abc")]
    [InlineData("environment:\n  DB_PASSWORD: \"with: colon, and # hash\"\n", "with: colon")]
    [InlineData("environment: { API_TOKEN: a1 }", "a1 ")]
    [InlineData("command: [./app, --password, hunter22, --verbose]", "hunter22")]
    [InlineData("command: [./app, --token=hunter22]", "hunter22")]
    [InlineData("command: [./app, 'postgres://me:hunter22@db/x']", "hunter22")]
    [InlineData("ocf: { parameters: { passwd: |\n      hunter22\n    } }", "hunter22")]
    [InlineData("x: 1 # the old password was hunter22", "hunter22")]
    [InlineData("secret: &a hunter22\nother: *a", "hunter22")]
    [InlineData("alerts: { slack: { webhook: \"https://hooks.example.org/services/T0/B0/hunter22\" } }", "hunter22")]
    [InlineData("environment: { SLACK_WEBHOOK: https://hooks.example.org/hunter22 }", "hunter22")]
    [InlineData("alerts:\n  pager:\n    headers: { X-Team: hunter22 }\n", "hunter22")]
    [InlineData("broken: [ password: hunter22", "hunter22")]
    public void ClusterFile_LosesItsSecrets(string source, string secret) =>
        Assert.DoesNotContain(secret, s_none.CutFile(source), StringComparison.Ordinal);

    [Fact]
    public void ClusterFile_KeepsWhatIsNoSecret()
    {
        const string source = """
            cluster: shop
            nodes:
              n1:
                fence: { agent: fence_ipmilan, ip: 10.20.0.11, username: admin, password_file: /etc/evenkeel/n1, password: hunter22 }
            services:
              web:
                process: { command: [./service, --port, "8080"], environment: { MODE: fast } }
                publish: [{ vip: front, port: 80, headers: { X-Version: beta } }]
            """;
        Assert.Equal(source.Replace("hunter22", "\"(cut out)\"", StringComparison.Ordinal), s_none.CutFile(source));
    }

    [Theory]
    [InlineData("connecting with password=hunter22 to db")]
    [InlineData("{\"at\":1,\"password\":\"hunter22\",\"b\":2}")]
    [InlineData("{\"apiKey\": \"hunter22\"}")]
    [InlineData("--db-password hunter22 --verbose")]
    [InlineData("Authorization: Bearer hunter22hunter22")]
    [InlineData("redis://:hunter22@10.0.0.1:6379/0")]
    [InlineData("-----BEGIN EC PRIVATE KEY-----\nhunter22\n-----END EC PRIVATE KEY-----")]
    [InlineData("-----BEGIN PRIVATE KEY-----\nhunter22 (the log was cut off here)")]
    public void Log_LosesWhatLooksLikeASecret(string text) => Assert.DoesNotContain("hunter22", s_none.Cut(text), StringComparison.Ordinal);

    [Theory]
    [InlineData("2026-01-02T03:04:05Z LeaseEnded: vip/front of n2")]
    [InlineData("    \"stateDirectory\": \"/var/lib/evenkeel\",")]
    [InlineData("password_file: /etc/evenkeel/n1")]
    [InlineData("inet 10.77.0.11/24 scope global eth0")]
    [InlineData("tcp dport 80 ip daddr @leased accept")]
    public void Log_KeepsWhatIsNone(string text) => Assert.Equal(text, s_none.Cut(text));

    [Fact]
    public void SecretKnownByItsValue_IsCutWhereverItStands_AsJsonToo()
    {
        var secrets = new Secrets(["s3cr\"et", "abc"]);
        Assert.Equal("it said (cut out) and {\"words\":\"(cut out)\"} but alphabcet stays", secrets.Cut("it said s3cr\"et and {\"words\":\"s3cr\\u0022et\"} but alphabcet stays"));
    }

    [Fact]
    public void StateDirectory_TellsItsKeysTokensAndPasswords_ThoseInFilesToo()
    {
        using var directory = new TemporaryDirectory();
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        Directory.CreateDirectory(Path.Combine(directory.Path, "tls"));
        Directory.CreateDirectory(Path.Combine(directory.Path, "ca"));
        var pem = key.ExportECPrivateKeyPem();
        directory.Write("tls/node.key", pem);
        directory.Write("ca/tokens.json", "[{\"Node\":\"n2\",\"Hash\":\"00ff00ff00ff\",\"Ends\":\"2026-01-01T00:00:00Z\"}]");
        var file = directory.Write("n1.password", "from-a-file\n");
        directory.Write("cluster.yaml", $"nodes: {{ n1: {{ fence: {{ agent: f, password: in-the-file, password_file: {file} }} }} }}\n");
        var text = Secrets.Of(directory.Path).Cut($"{pem.Split('\n')[1]} 00ff00ff00ff from-a-file in-the-file");
        Assert.Equal("(cut out) (cut out) (cut out) (cut out)", text);
    }
}
