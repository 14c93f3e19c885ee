using System.Net;
using Evenkeel.Core.Model;
using Evenkeel.PrivateConnection.Certificates;
using Xunit;

namespace Evenkeel.EndToEnd.Lab;

/// <summary>
/// Speaks to every socket on which a node waits for others, as the nodes' kernels tell them, so that none is forgotten: from among
/// the clients, from the private network without a certificate, and with one of another cluster.
/// </summary>
[Trait("needs", "root")]
[Trait("Machine", "shared")]
public sealed class EveryPortTests(EveryPortLab lab) : IClassFixture<EveryPortLab>
{
    private const string Stranger = "n2";
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task EveryListener_HasAKnownPurpose_AndStandsWhereThatBelongs()
    {
        var wrong = new List<string>();
        foreach (var listener in await lab.ListenersAsync())
        {
            var own = lab.Spec.Nodes[new NodeName(listener.Node)];
            IEnumerable<IPAddress> allowed = listener.Purpose switch
            {
                null => [],
                Purpose.Door => lab.Spec.Vips.Values.Select(vip => vip.Address),
                Purpose.Roles => own.AllPublic,
                _ => own.Private,
            };
            if (!allowed.Contains(listener.Address)) wrong.Add($"{listener} ({listener.Purpose?.ToString() ?? "nobody knows what for"})");
        }

        Assert.True(wrong.Count == 0, string.Join("\n", wrong));
    }

    [Fact]
    public async Task PublicSide_ReachesDoorsAndRolesAlone_ByEitherFamily()
    {
        // A client that knows where the private addresses are, and sends there by way of the public network.
        foreach (var node in lab.Spec.Nodes.Values)
            foreach (var address in node.Private)
                Servers.Expect(0, await lab.Servers.RunProgramAsync("client", "ip", "route", "replace", address.ToString(), "via", node.AllPublic.First(one => one.AddressFamily == address.AddressFamily).ToString()));
        var listeners = (await lab.ListenersAsync()).Where(one => !one.Udp).ToList();
        var ports = listeners.Select(one => one.Port).Distinct().ToList();
        var addresses = lab.Spec.Vips.Values.Select(vip => vip.Address).Concat(lab.Spec.Nodes.Values.SelectMany(node => node.AllPublic.Concat(node.Private)));
        var at = addresses.SelectMany(address => ports.Select(port => (address, port))).ToList();
        var meant = listeners.Where(one => one.Purpose is Purpose.Door or Purpose.Roles).Select(one => (one.Address, one.Port)).ToHashSet();
        var answers = await lab.KnockAsync("client", at);
        Assert.Equal(at.Count, answers.Count);
        Assert.True(answers.All(one => (one.Value == "open") == meant.Contains(one.Key)),
            string.Join("\n", answers.Where(one => (one.Value == "open") != meant.Contains(one.Key)).Select(one => $"{one.Key.Address} port {one.Key.Port} is {one.Value} to clients")));
        // It is the public side that keeps them out: on the private one somebody answers at each of them.
        var inside = listeners.Where(one => one.Node != "n3" && one.Purpose is not (Purpose.Door or Purpose.Roles)).Select(one => (one.Address, one.Port)).ToList();
        Assert.All(await lab.KnockAsync("n3", inside), one => Assert.Equal("open", one.Value));
        // The door for roles says nothing else.
        foreach (var path in (string[])["/v1/status", "/metrics", "/", "/v1/audit", "/v1/own/diagnostics"])
            Assert.Equal("404", await CurlAsync("client", $"http://203.0.113.11:{EveryPortLab.Roles}{path}"));
        Assert.Contains(await CurlAsync("client", $"http://203.0.113.11:{EveryPortLab.Roles}/v1/services/db/primary"), (string[])["200", "503"]);
    }

    [Theory, InlineData(false), InlineData(true)]
    public async Task PrivateSide_WithoutACertificateOfTheCluster_GetsNothing_AndIsNamed(bool foreign)
    {
        var identity = Directory.CreateDirectory(Path.Combine(lab.Place, foreign ? "foreign" : "bare")).FullName;
        if (foreign)
        {
            // The same name, the same addresses, another authority.
            using var authority = CertificateAuthority.Create(EveryPortLab.Name);
            authority.IssueNode(new NodeName(Stranger), lab.Spec.Nodes[new NodeName(Stranger)].Private, identity);
        }

        // It believes whom it speaks to: it is the other side that must refuse.
        File.Copy(Path.Combine(lab.Servers.State(Stranger), "tls", NodeCertificate.AuthorityFile), Path.Combine(identity, NodeCertificate.AuthorityFile), overwrite: true);
        var wrong = new List<string>();
        foreach (var listener in (await lab.ListenersAsync()).Where(one => one.Node != Stranger && !one.Udp))
            if (await WhyWrongAsync(listener, identity, foreign) is { } reason) wrong.Add($"{listener} ({listener.Purpose}): {reason}");
        Assert.True(wrong.Count == 0, string.Join("\n", wrong));

        var shown = foreign ? $"'CN={Stranger}' is not accepted" : "it showed no certificate";
        foreach (var (node, doors) in new[] { ("n1", (string[])["the private connection", "etcd", "the control API", "the leg of files"]), ("n3", ["the private connection", "etcd", "the control API"]) })
        {
            string[] words = ["10.77.0.12", "fd77::12", shown, .. doors.Select(door => $"connect to {door}: refused"), .. node == "n1" ? (string[])["enrol"] : []];
            await lab.Servers.UntilAsync(0, node, ["audit", "--cluster", EveryPortLab.Socket(node), "-n", "1000"], words);
            foreach (var door in doors) Assert.Matches($@"refused .*(10\.77\.0\.12|fd77::12).* at {door}: ", lab.Servers.Log(node));
        }

        // What it was told in vain has disturbed nobody.
        await lab.Servers.WholeAsync();
    }

    /// <summary>Null when it told the stranger no more than it tells anybody.</summary>
    private async Task<string?> WhyWrongAsync(Listener listener, string identity, bool foreign) => listener.Purpose switch
    {
        Purpose.Members => await MembersAsync(listener, identity, foreign),
        Purpose.Leg => await LegAsync(listener, identity, foreign),
        Purpose.PostgreSql => await PostgreSqlAsync(listener, identity, foreign),
        // What anybody may have: the authority's certificate.
        Purpose.Enrolment => await AnswersAsync(listener, identity, foreign, [("/v1/authority", "200"), ("/v1/enrol", "403"), ("/v1/status", "404"), ("/metrics", "404")]),
        Purpose.Api => await AnswersAsync(listener, identity, foreign, [("/v1/status", "401"), ("/metrics", "401"), ("/v1/audit", "401"), ("/v1/no-such", "401")]),
        // Plain, because the node's own file asks for it; nothing but metrics.
        Purpose.Metrics => await AnswersAsync(listener, identity, foreign, [("/metrics", "200"), ("/v1/status", "404"), ("/v1/audit", "404")], "http"),
        Purpose.Roles => await AnswersAsync(listener, identity, foreign, [("/v1/status", "404"), ("/metrics", "404")], "http"),
        // Whatever the service itself says, to whoever reaches it.
        Purpose.Door or Purpose.Instance => null,
        _ => "nobody knows what for",
    };

    private async Task<string?> MembersAsync(Listener listener, string identity, bool foreign)
    {
        if (await CurlAsync(Stranger, $"http://{At(listener)}/v1/own/diagnostics") is var plain && plain.StartsWith('2')) return $"answered {plain} in plain";
        var (_, secure) = await lab.Servers.RunProgramAsync(Stranger, "sh", ["-c",
            "(printf 'GET /v1/own/diagnostics HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n'; sleep 1) | timeout 4 openssl s_client -connect \"$0\" -quiet \"$@\" 2>&1; echo ended by $?",
            At(listener), .. foreign ? (string[])["-cert", Path.Combine(identity, NodeCertificate.CertificateFile), "-key", Path.Combine(identity, NodeCertificate.KeyFile)] : []]);
        return secure.Contains("HTTP/1", StringComparison.Ordinal) ? $"answered: {secure}"
            : secure.Contains("ended by 124", StringComparison.Ordinal) ? $"did not end the connection: {secure}" : null;
    }

    private async Task<string?> LegAsync(Listener listener, string identity, bool foreign)
    {
        var place = NbdIdentity(identity, foreign);
        var own = NbdIdentity(Path.Combine(lab.Servers.State(Stranger), "tls"), true);
        var tail = $"?tls-certificates={place}";
        foreach (var uri in (string[])[$"nbd://{At(listener)}/files@1.1", $"nbds://{At(listener)}/files@1.1{tail}"])
            if (await lab.Servers.RunProgramAsync(Stranger, "nbdinfo", uri) is (0, var said)) return $"let it in by {uri}: {said}";
        foreach (var uri in (string[])[$"nbd://{At(listener)}/", $"nbds://{At(listener)}/{tail}"])
            if (await lab.Servers.RunProgramAsync(Stranger, "nbdinfo", "--list", uri) is (0, var said)) return $"listed its exports by {uri}: {said}";
        // A node's own certificate gets past the handshake.
        return await lab.Servers.RunProgramAsync(Stranger, "nbdinfo", "--list", $"nbds://{At(listener)}/?tls-certificates={own}") is (not 0, var refused) ? $"refuses a member too: {refused}" : null;
    }

    /// <summary>The files under the names that libnbd (gnutls) expects.</summary>
    private string NbdIdentity(string from, bool certificate)
    {
        var place = Directory.CreateDirectory(Path.Combine(lab.Place, "nbd-" + Path.GetRelativePath("/", from).Replace('/', '-'))).FullName;
        foreach (var (file, name) in new[] { (NodeCertificate.AuthorityFile, "ca-cert.pem"), (NodeCertificate.CertificateFile, "client-cert.pem"), (NodeCertificate.KeyFile, "client-key.pem") })
            if (certificate || file == NodeCertificate.AuthorityFile) File.Copy(Path.Combine(from, file), Path.Combine(place, name), overwrite: true);
        return place;
    }

    private async Task<string?> PostgreSqlAsync(Listener listener, string identity, bool foreign)
    {
        async Task<(int Code, string Output)> AskAsync(string user, string mode, string? from, string more = "dbname=postgres") => await lab.Servers.RunProgramAsync(Stranger, "timeout", "10", "psql", "-w", "-c", "SELECT 4711",
            $"host={listener.Address} port={listener.Port} user={user} sslmode={mode} {more}" + (from is null ? " sslcert=/none sslkey=/none" : $" sslcert={from}/node.crt sslkey={from}/node.key"));
        var shown = foreign ? identity : null;
        foreach (var user in (string[])["postgres", "evenkeel_replication"])
            foreach (var (mode, more) in new[] { ("disable", "dbname=postgres"), ("require", "dbname=postgres"), ("require", "replication=true") })
                if (await AskAsync(user, mode, shown, more) is (0, var said)) return $"let {user} in ({mode}, {more}): {said}";
        return await AskAsync("evenkeel_replication", "require", Path.Combine(lab.Servers.State(Stranger), "tls")) is (not 0, var refused) ? $"refuses a member too: {refused}" : null;
    }

    private async Task<string?> AnswersAsync(Listener listener, string identity, bool foreign, (string Path, string Code)[] expected, string scheme = "https")
    {
        string[] shown = foreign && scheme == "https" ? ["--cert", Path.Combine(identity, NodeCertificate.CertificateFile), "--key", Path.Combine(identity, NodeCertificate.KeyFile)] : [];
        foreach (var (path, code) in expected)
        {
            string[] post = path == "/v1/enrol" ? ["-d", """{"node":"n2","token":"evk_wrong","request":"x"}"""] : [];
            if (await CurlAsync(Stranger, $"{scheme}://{At(listener)}{path}", [.. shown, .. post]) is var answer && answer != code) return $"{path} is answered with {answer}, not {code}";
        }

        return null;
    }

    private async Task<string> CurlAsync(string where, string url, params string[] more) =>
        (await lab.Servers.RunProgramAsync(where, "curl", ["-s", "-k", "-m", "3", "-o", "/dev/null", "-w", "%{http_code}", .. more, url])).Output.Trim();

    private static string At(Listener listener) => new IPEndPoint(listener.Address, listener.Port).ToString();
}
