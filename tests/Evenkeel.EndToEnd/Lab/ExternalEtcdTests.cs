using System.Diagnostics;
using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Evenkeel.Agent.Local;
using Evenkeel.Cli;
using Xunit;

namespace Evenkeel.EndToEnd.Lab;

/// <summary>A cluster whose decisions are kept by an etcd that somebody else runs, with certificates of somebody else's authority.</summary>
[Trait("needs", "root")]
[Trait("Turn", "3")]
public sealed class ExternalEtcdTests : IAsyncLifetime
{
    private const string Cluster = "external";
    private const string Endpoint = "https://10.77.0.13:12379";
    private Servers servers = null!;
    private Process? etcd;

    private string Pki(string file) => Path.Combine(servers.Directory, "pki", file);

    public async ValueTask InitializeAsync()
    {
        servers = await Servers.StartAsync(Cluster);
        Directory.CreateDirectory(Path.Combine(servers.Directory, "pki"));
        MakeCertificates();
        await WriteFileAsync("client");
    }

    public async ValueTask DisposeAsync()
    {
        await servers.DisposeAsync();
        etcd?.Dispose();
    }

    [Fact]
    [Trait("Stage", "long")]
    public async Task Cluster_RunsOnIt_AndClientsDoNotNoticeItsLoss()
    {
        StartEtcd();
        await servers.InitAllAsync();
        servers.StartAgents();
        await servers.WholeAsync();
        await servers.ServesAsync();
        var (_, status) = await servers.RunAsync("n1", "status", "--cluster", Cluster, "--output", "json");
        Assert.Contains("\"kind\": \"external\"", status, StringComparison.Ordinal);
        // Evenkeel has started none of its own.
        Assert.False(Directory.Exists(Path.Combine(servers.State("n1"), "etcd")));
        Servers.Expect(ExitCode.Refused, await servers.RunAsync("n1", "state", "export", Path.Combine(servers.Directory, "x.db"), "--state", servers.State("n1")), "an etcd of yours");

        await servers.UndisturbedAsync(async () =>
        {
            StopEtcd();
            await servers.UntilAsync(ExitCode.Failed, "n1", ["status", "--cluster", Cluster], "coordination store");
            // A lease is long over by now, had anybody needed the store for its renewal.
            StartEtcd();
            await servers.WholeAsync();
        });
        // And it decides again: what its owner gives away has another one.
        Servers.Expect(0, await servers.RunAsync("n1", "drain", "n1", "--cluster", Cluster));
        Servers.Expect(0, await servers.RunAsync("n1", "resume", "n1", "--cluster", Cluster));
    }

    [Trait("Stage", "long")]
    [Fact]
    public async Task Remove_RevokesTheCertificate_Replace_LetsANewServerIn_AndANodeMayLeave()
    {
        StartEtcd();
        await servers.JoinAllAsync();
        var (first, third) = (LocalPaths.ControlSocket(Cluster, "n1"), LocalPaths.ControlSocket(Cluster, "n3"));
        string[] remove = ["remove", "n2", "--yes", "--cluster", first];
        Servers.Expect(ExitCode.Refused, await servers.RunAsync("n1", remove), "n2 lives");
        servers.StopAgent("n2");
        await servers.UntilAsync(0, "n1", remove, "its certificate", "is revoked", "yours to revoke");
        await servers.SaysAsync("n3", "the certificate of n2 is revoked");
        servers.StartAgent("n2");
        await servers.SaysAsync("n2", "this server is n2 no more");
        servers.StopAgent("n2");
        Directory.Delete(servers.State("n2"), recursive: true);

        await servers.JoinAsync("n2", await servers.AskAsync("n1", "replace", "n2", "--yes", "--cluster", first));
        servers.StartAgent("n2");
        await servers.WholeAsync();
        Servers.Expect(0, await servers.RunAsync("n3", "leave", "--yes", "--cluster", third), "n3 has left", "yours to revoke");
        await servers.SaysAsync("n1", "the certificate of n3 is revoked");
        await servers.ServesAsync();
    }

    [Fact]
    public async Task Certificate_OfAnotherAuthority_GetsNothing_AndTheLogSaysSo()
    {
        StartEtcd();
        await WriteFileAsync("stranger");
        await servers.InitAllAsync();
        servers.StartAgent("n1");
        await servers.UntilAsync(ExitCode.Failed, "n1", ["status", "--cluster", Cluster], "coordination store");
    }

    [Fact]
    public async Task File_ThatCannotBe_IsRefused()
    {
        var source = await File.ReadAllTextAsync(servers.ClusterFilePath, TestContext.Current.CancellationToken);
        await File.WriteAllTextAsync(servers.ClusterFilePath, source.Replace(Endpoint, "https://etcd.example:2379", StringComparison.Ordinal), TestContext.Current.CancellationToken);
        Servers.Expect(ExitCode.Configuration, await servers.RunAsync("n1", "config", "check", servers.ClusterFilePath), "'etcd.example' is a name");
        await File.WriteAllTextAsync(servers.ClusterFilePath, source.Replace("ca_file", "key_file", StringComparison.Ordinal).Replace(Pki("ca.crt"), Pki("x"), StringComparison.Ordinal), TestContext.Current.CancellationToken);
        Assert.Equal(ExitCode.Configuration, (await servers.RunAsync("n1", "config", "check", servers.ClusterFilePath)).Code);
    }

    private async Task WriteFileAsync(string client)
    {
        var source = await File.ReadAllTextAsync(servers.ClusterFilePath, TestContext.Current.CancellationToken);
        source = string.Join('\n', source.Split('\n').Where(line => !line.StartsWith("coordination:", StringComparison.Ordinal)));
        await File.WriteAllTextAsync(servers.ClusterFilePath, $"{source}\ncoordination: {{ external: [\"{Endpoint}\"], ca_file: {Pki("ca.crt")}, certificate_file: {Pki(client + ".crt")}, key_file: {Pki(client + ".key")} }}\n", TestContext.Current.CancellationToken);
    }

    private void StartEtcd()
    {
        etcd = Process.Start("nsenter", [$"--net=/run/netns/{servers.Namespace("n3")}", "sh", "-c", "exec \"$@\" >>\"$0\" 2>&1", Path.Combine(servers.Directory, "foreign.log"),
            "etcd", "--data-dir", Path.Combine(servers.Directory, "foreign"), "--listen-client-urls", Endpoint, "--advertise-client-urls", Endpoint, "--listen-peer-urls", "http://127.0.0.1:12380",
            "--cert-file", Pki("server.crt"), "--key-file", Pki("server.key"), "--client-cert-auth", "--trusted-ca-file", Pki("ca.crt"), "--max-txn-ops", "256"]);
    }

    private void StopEtcd()
    {
        etcd!.Kill();
        etcd.WaitForExit();
        etcd.Dispose();
        etcd = null;
    }

    private void MakeCertificates()
    {
        using var authority = Authority("the house's authority");
        using var other = Authority("another authority");
        File.WriteAllText(Pki("ca.crt"), authority.ExportCertificatePem());
        Issue(authority, "server", IPAddress.Parse("10.77.0.13"));
        Issue(authority, "client", null);
        Issue(other, "stranger", null);
    }

    private static X509Certificate2 Authority(string name)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, false));
        return request.CreateSelfSigned(DateTimeOffset.UtcNow.AddHours(-1), DateTimeOffset.UtcNow.AddDays(1));
    }

    private void Issue(X509Certificate2 authority, string name, IPAddress? address)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256);
        // Server and client authentication (RFC 5280 section 4.2.1.12).
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid("1.3.6.1.5.5.7.3.1"), new Oid("1.3.6.1.5.5.7.3.2")], false));
        var names = new SubjectAlternativeNameBuilder();
        if (address is not null) names.AddIpAddress(address);
        else names.AddDnsName(name);
        request.CertificateExtensions.Add(names.Build());
        using var issued = request.Create(authority, DateTimeOffset.UtcNow.AddMinutes(-30), DateTimeOffset.UtcNow.AddHours(12), RandomNumberGenerator.GetBytes(8));
        File.WriteAllText(Pki(name + ".crt"), issued.ExportCertificatePem());
        File.WriteAllText(Pki(name + ".key"), key.ExportPkcs8PrivateKeyPem());
    }
}
