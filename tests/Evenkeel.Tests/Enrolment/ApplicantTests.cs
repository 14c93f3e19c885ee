using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using Evenkeel.Agent.Configuration;
using Evenkeel.Agent.Control;
using Evenkeel.Agent.Enrolment;
using Evenkeel.Agent.Host;
using Evenkeel.Agent.Host.Audit;
using Evenkeel.Agent.Setup;
using Evenkeel.Agent.Trust;
using Evenkeel.Core.Model;
using Evenkeel.PrivateConnection.Certificates;
using Evenkeel.PrivateConnection.Store.Model;
using Xunit;

namespace Evenkeel.Tests.Enrolment;

/// <summary>A new node and the node that it enrols at, over real TLS on loopback.</summary>
public sealed class ApplicantTests : IAsyncLifetime
{
    private const string Source = """
        version: 1
        cluster: enrol
        networks:
          public: 203.0.113.0/24
          private: 127.0.0.0/24
        nodes:
          n1: { public: 203.0.113.1, private: 127.0.0.9 }
          n2: { public: 203.0.113.2, private: 127.0.0.1 }
          n3: { public: 203.0.113.3, private: 127.0.0.3 }
        """;

    private static readonly NodeName n2 = new("n2");
    private readonly DirectoryInfo _place = Directory.CreateTempSubdirectory("evenkeel-enrol-");
    private readonly List<string> _log = [];
    private AuditTrail _trail = null!;
    private NodeCertificate _certificate = null!;
    private EnrolmentOffice _office = null!;
    private string? _issuing;
    private IAsyncDisposable _server = null!;
    private IPEndPoint _at = null!;

    private string First => Path.Combine(_place.FullName, "n1");
    private string Fresh => Path.Combine(_place.FullName, "n2");
    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        var read = ClusterFile.Parse(Source, "cluster.yaml");
        var spec = read.Spec ?? throw new InvalidOperationException(string.Join("; ", read.Diagnostics));
        using (var authority = CertificateAuthority.Create("enrol"))
        {
            authority.Save(Path.Combine(First, "ca"));
            authority.IssueNode(new NodeName("n1"), [IPAddress.Loopback], Path.Combine(First, "tls"));
        }

        var file = Path.Combine(First, "cluster.yaml");
        await File.WriteAllTextAsync(file, Source, Stop);
        var own = new AgentConfiguration
        {
            Cluster = "enrol", Node = new NodeName("n1"), StateDirectory = First, ControlSocket = "", GuardSocket = "", Private = ["127.0.0.1"], Store = StoreKind.Etcd,
            StoreMembers = new Dictionary<string, string> { ["n1"] = "127.0.0.9", ["n2"] = "127.0.0.1", ["n3"] = "127.0.0.3" },
            StoreEndpoints = [], FirstFile = file, WorkingDirectory = "/",
        };
        _trail = new AuditTrail(Path.Combine(First, "audit.jsonl"), _log.Add);
        _certificate = NodeCertificate.Load(Path.Combine(First, "tls"));
        _office = new EnrolmentOffice(own, _certificate, new AuthorityShelf(First), () => _issuing, () => spec, _trail, new RefusalTrail(_trail, own.Node, TimeProvider.System, _log.Add), _log.Add);
        _at = new IPEndPoint(IPAddress.Loopback, FreePort());
        _server = (await EnrolmentServer.StartAsync([_at], _certificate, _office, _log.Add))!;
    }

    [Fact]
    public async Task Join_WithItsToken_HasACertificateForItsOwnKeyAndTheClustersFile()
    {
        var token = Issue("n2");
        var refused = await Assert.ThrowsAsync<SetupRefusedException>(() => JoinAsync(n2, token));
        // Loopback has no 203.0.113.2: the last check, after all else was right. With an interface named it goes through.
        Assert.Contains("203.0.113.2", refused.Message, StringComparison.Ordinal);
        Assert.False(Directory.Exists(Fresh));

        var own = await Applicant.JoinAsync(n2, _at, Issue("n2").Token, token.AuthorityHash, Fresh, "lo", Stop);
        Assert.Equal((n2, "enrol", "lo"), (own.Node, own.Cluster, own.PublicInterface));
        Assert.Equal("127.0.0.1:2379", own.StoreEndpoints[0]);
        Assert.Equal(Source, await File.ReadAllTextAsync(own.FirstFile!, Stop));
        using var certificate = NodeCertificate.Load(Path.Combine(Fresh, "tls"));
        Assert.Equal(n2, NodeCertificate.NameOf(certificate.Own));
        Assert.Null(_certificate.WhyNot(certificate.Own));
        Assert.True(certificate.Own.HasPrivateKey);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path.Combine(Fresh, "tls", "node.key")));
        Assert.Contains(_trail.Last(9), entry => entry is { What: "enrol n2", Outcome: "done", Name: "127.0.0.1" });
    }

    [Theory, InlineData("n3", "the token is for n2"), InlineData("n9", "no such node")]
    public async Task Join_AsAnotherNode_IsRefusedAndNamedOnTheTrail(string name, string why)
    {
        var token = Issue("n2");
        await Assert.ThrowsAsync<SetupRefusedException>(() => JoinAsync(new NodeName(name), token));
        Assert.Contains(_trail.Last(9), entry => entry.Outcome == "refused" && entry.Said!.Contains(why, StringComparison.Ordinal));
        Assert.Contains(_log, line => line.Contains(why, StringComparison.Ordinal));
        Assert.False(Directory.Exists(Fresh));
    }

    [Fact]
    public async Task Join_WithAnotherAuthoritysHash_ShowsItsTokenToNobody()
    {
        using var foreign = CertificateAuthority.Create("enrol");
        var token = Issue("n2");
        var refused = await Assert.ThrowsAsync<SetupRefusedException>(() => JoinAsync(n2, token with { AuthorityHash = foreign.Hash }));
        Assert.Contains(token.AuthorityHash, refused.Message, StringComparison.Ordinal);
        Assert.Empty(_trail.Last(9));
    }

    [Fact]
    public async Task Join_AtAnImpostorThatShowsTheRealAuthority_ShowsItsTokenToNobody()
    {
        // It can copy the authority's certificate, but not sign with its key.
        var impostor = Path.Combine(_place.FullName, "impostor");
        using (var other = CertificateAuthority.Create("enrol")) other.IssueNode(new NodeName("n1"), [], impostor);
        using var shown = NodeCertificate.Load(impostor);
        var at = new IPEndPoint(IPAddress.Loopback, FreePort());
        await using var server = await EnrolmentServer.StartAsync([at], shown, _office, _log.Add);
        var token = Issue("n2");
        var refused = await Assert.ThrowsAsync<SetupRefusedException>(() => Applicant.JoinAsync(n2, at, token.Token, token.AuthorityHash, Fresh, "lo", Stop));
        Assert.Contains("in between", refused.Message, StringComparison.Ordinal);
        Assert.Empty(_trail.Last(9));
    }

    [Fact]
    public async Task Join_WhileOneAuthorityTakesTheOthersPlace_TrustsBoth()
    {
        using var next = CertificateAuthority.Create("enrol");
        CertificatePair.ReplaceAuthorities(_certificate.Directory, [_certificate.Authorities[0].ExportCertificatePem(), next.CertificatePem]);
        _certificate.Reload();
        var token = Issue("n2");
        await Applicant.JoinAsync(n2, _at, token.Token, token.AuthorityHash, Fresh, "lo", Stop);
        using var certificate = NodeCertificate.Load(Path.Combine(Fresh, "tls"));
        Assert.Equal(_certificate.Trusted, certificate.Trusted);
        Assert.Contains(next.Hash, certificate.Trusted);
    }

    [Fact]
    public async Task Renew_ByToken_ReplacesTheCertificateAndTheTrustedAuthoritiesAlone()
    {
        var tls = Path.Combine(Fresh, "tls");
        using (var gone = CertificateAuthority.Create("enrol")) gone.IssueNode(n2, [], tls, DateTimeOffset.UtcNow.AddMinutes(-1));
        var token = Issue("n2");
        await Applicant.RenewAsync(n2, _at, token.Token, token.AuthorityHash, tls, Stop);
        using var certificate = NodeCertificate.Load(tls);
        Assert.Null(_certificate.WhyNot(certificate.Own));
        Assert.Equal(_certificate.Trusted, certificate.Trusted);
        await Assert.ThrowsAsync<SetupRefusedException>(() => Applicant.RenewAsync(n2, _at, token.Token, token.AuthorityHash, tls, Stop));
    }

    [Fact]
    public void Enrol_StrangersNamesAndRepetitions_AreOneEntryAndNotRepeated()
    {
        Issue("n2");
        for (var i = 0; i < 50; i++)
        {
            Assert.Null(_office.Enrol(new EnrolmentRequest(new NodeName($"n{i}\n[forged] all is well"), "x", "y"), IPAddress.Loopback));
            Assert.Null(_office.Enrol(new EnrolmentRequest(n2, "x", "y"), IPAddress.Loopback));
        }

        Assert.Equal(["enrol", "enrol n2"], _trail.Last(200).Select(entry => entry.What).Order());
        Assert.Equal(2, _log.Count);
        Assert.DoesNotContain(_log, line => line.Contains("forged", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Signed_IsToldToTheStore_AndARemovalRevokesItThoughItWasNeverShown()
    {
        await using var store = new ModelStore();
        var keys = new EnrolmentKeys("enrol");
        using var request = new NodeRequest();
        var serials = new List<string>();
        foreach (var pem in new[] { _office.Renew(n2, request.ToPem()), _office.Enrol(new EnrolmentRequest(n2, Issue("n2").Token, request.ToPem()), null)?.Certificate, _office.Renew(new NodeName("n3"), request.ToPem()) })
        {
            using var certificate = X509Certificate2.CreateFromPem(pem);
            serials.Add(certificate.SerialNumber);
        }

        await _office.Issued.TellAsync(store, keys, Stop);
        await _office.Issued.TellAsync(store, keys, Stop);
        Assert.Equal(3, (await store.ReadAsync(keys.IssuedPrefix, Stop)).Entries.Count);
        Assert.Equal(2, await keys.RevokeIssuedAsync(store, n2, Stop));
        Assert.Equal(serials.Take(2).Order(), (await store.ReadAsync(keys.RevokedPrefix, Stop)).Entries.Select(entry => EnrolmentKeys.Read(entry)!.Serial).Order());
        Assert.Equal(serials[2], EnrolmentKeys.ReadIssued(Assert.Single((await store.ReadAsync(keys.IssuedPrefix, Stop)).Entries))!.Serial);
        Assert.Equal(0, await keys.RevokeIssuedAsync(store, n2, Stop));
    }

    [Fact]
    public async Task Signed_StoreAway_IsKeptUntilItAnswers()
    {
        using var request = new NodeRequest();
        Assert.NotNull(_office.Renew(n2, request.ToPem()));
        await using var store = new ModelStore();
        await new IssuedBook(First).TellAsync(store, new EnrolmentKeys("enrol"), Stop); // After a restart.
        Assert.Single((await store.ReadAsync(new EnrolmentKeys("enrol").IssuedPrefix, Stop)).Entries);
    }

    [Fact]
    public void CanSign_AnotherAuthoritySignsNow_IsFalseAndNothingIsSigned()
    {
        using var request = new NodeRequest();
        Assert.NotNull(_office.Renew(n2, request.ToPem()));
        Assert.Null(_office.Renew(new NodeName("n9"), request.ToPem()));
        Assert.Null(_office.Renew(n2, "nonsense"));
        using var other = CertificateAuthority.Create("enrol");
        _issuing = other.Hash;
        Assert.False(_office.CanSign);
        Assert.Null(_office.Renew(n2, request.ToPem()));
    }

    [Fact]
    public async Task Join_WhereNobodyAnswers_FailsAndSaysSo()
    {
        var token = Issue("n2");
        var failed = await Assert.ThrowsAsync<EnrolmentFailedException>(() =>
            Applicant.JoinAsync(n2, new IPEndPoint(IPAddress.Loopback, FreePort()), token.Token, token.AuthorityHash, Fresh, "lo", Stop));
        Assert.Contains("does not answer", failed.Message, StringComparison.Ordinal);
    }

    [Theory, InlineData(""), InlineData("{}"), InlineData("null"), InlineData("""{"node":"n2","token":"x"}"""), InlineData("""{"node":"../n2","token":"x","request":"y"}""")]
    public async Task Enrol_Nonsense_IsRefusedWithNothing(string body)
    {
        using var http = new HttpClient(new SocketsHttpHandler { SslOptions = new() { RemoteCertificateValidationCallback = (_, shown, _, _) => _certificate.WhyNot(shown) is null } });
        using var content = new StringContent(body);
        using var answer = await http.PostAsync($"https://{_at}{EnrolmentRoutes.Enrol}", content, Stop);
        Assert.Equal(HttpStatusCode.Forbidden, answer.StatusCode);
        Assert.Empty(await answer.Content.ReadAsByteArrayAsync(Stop));
    }

    [Fact]
    public void Sign_RequestWhoseSignatureIsNotItsKeys_IsRefused()
    {
        using var authority = CertificateAuthority.Load(Path.Combine(First, "ca"));
        using var key = new NodeRequest();
        var lines = key.ToPem().Split('\n');
        // One letter of the signature, which is the last part.
        var spoilt = lines[^2].Length > 8 ? lines.Length - 2 : lines.Length - 3;
        lines[spoilt] = (lines[spoilt][0] == 'A' ? 'B' : 'A') + lines[spoilt][1..];
        Assert.Throws<InvalidDataException>(() => authority.Sign(string.Join('\n', lines), n2, []));
        Assert.Throws<InvalidDataException>(() => authority.Sign("nonsense", n2, []));
    }

    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync();
        _certificate.Dispose();
        _place.Delete(recursive: true);
    }

    private NewToken Issue(string node)
    {
        var answer = _office.Issue(new TokenOrder(new NodeName(node), TimeSpan.FromMinutes(5)));
        return answer.Value ?? throw new InvalidOperationException(answer.Problem!.Message);
    }

    private Task<AgentConfiguration> JoinAsync(NodeName node, NewToken token) =>
        Applicant.JoinAsync(node, _at, token.Token, token.AuthorityHash, Fresh, null, Stop);

    private static int FreePort()
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return ((IPEndPoint)socket.LocalEndPoint!).Port;
    }
}
