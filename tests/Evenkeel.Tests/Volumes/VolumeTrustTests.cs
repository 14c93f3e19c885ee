using System.Net;
using Evenkeel.Core.Model;
using Evenkeel.Core.Volumes;
using Evenkeel.PrivateConnection.Certificates;
using Evenkeel.Raid.Nbd;
using Evenkeel.Tests.Transport;
using Xunit;

namespace Evenkeel.Tests.Volumes;

/// <summary>Legs and writers run for months: they show and believe what the agent has written since they began.</summary>
public sealed class VolumeTrustTests : IDisposable
{
    private static readonly NodeName n1 = new("n1"), n2 = new("n2");
    private static readonly Epoch first = new(1, 1);
    private readonly TestCluster _cluster = new();
    private readonly Dictionary<NodeName, NodeCertificate> _issued;

    public VolumeTrustTests() => _issued = new() { [n1] = _cluster.Issue("n1"), [n2] = _cluster.Issue("n2") };

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _cluster.Dispose();

    [Fact]
    public async Task Leg_CertificateRenewedAndAuthorityReplaced_ShowsAndBelievesTheNewOnes()
    {
        await using var bench = Bench();
        using var next = CertificateAuthority.Create("shop");
        bench.StartLeg(n2);
        await UntilAsync(() => ReachesAsync(bench, _issued[n1]), "n1 with the first authority's");

        using (var request = new NodeRequest()) request.Renew(next.Sign(request.ToPem(), n2, [IPAddress.Loopback]), _issued[n2].Directory);
        CertificatePair.ReplaceAuthorities(_issued[n2].Directory, [next.CertificatePem]);
        var stranger = _issued[n1];
        using var anew = IssuedBy(next, "n1");
        await UntilAsync(() => ReachesAsync(bench, anew), "n1 with the next authority's");
        Assert.False(await ReachesAsync(bench, stranger));
    }

    [Fact]
    public async Task Leg_WritersCertificateRevoked_ItsConnectionEndsAndNoneIsMade()
    {
        await using var bench = Bench();
        bench.StartLeg(n2);
        await UntilAsync(() => ReachesAsync(bench, _issued[n1]), "n1");
        await using var client = await ConnectAsync(bench, _issued[n1]);
        await client.ReadAsync(0, new byte[512]);

        Revoke(at: n2, n1);
        await UntilAsync(async () =>
        {
            try
            {
                await client.ReadAsync(0, new byte[512]);
                return false;
            }
            catch (IOException)
            {
                return true;
            }
        }, "refused");
        Assert.False(await ReachesAsync(bench, _issued[n1]));
    }

    [Fact]
    public async Task Writer_LegsCertificateRevoked_LegIsLost()
    {
        await using var bench = Bench();
        bench.StartLeg(n1);
        bench.StartLeg(n2);
        await using var writer = bench.StartWriter(n1, first, [n2]);
        await writer.UntilAsync(report => report is { Phase: WriterPhase.Mounted, Synchronous.Count: 1 }, "made");
        Revoke(at: n1, n2);
        await writer.UntilAsync(report => report.Followers.Count == 0, "lost");
    }

    [Fact]
    public async Task Writer_RenewedWhileItRuns_IsLetInByALegThatKnowsTheNewAuthorityAlone()
    {
        await using var bench = Bench();
        using var next = CertificateAuthority.Create("shop");
        bench.StartLeg(n1);
        bench.StartLeg(n2);
        await using var writer = bench.StartWriter(n1, first, [n2]);
        await writer.UntilAsync(report => report is { Phase: WriterPhase.Mounted, Synchronous.Count: 1 }, "made");
        await bench.StopLegAsync(n2);
        await writer.UntilAsync(report => report.Followers.Count == 0, "lost");
        writer.Require();
        await writer.UntilAsync(report => report.Required.Count == 0, "put out");
        foreach (var (node, certificate) in _issued)
        {
            using var request = new NodeRequest();
            request.Renew(next.Sign(request.ToPem(), node, [IPAddress.Loopback]), certificate.Directory);
            CertificatePair.ReplaceAuthorities(certificate.Directory, [next.CertificatePem]);
        }

        bench.StartLeg(n2);
        await writer.UntilAsync(report => report.Followers.Contains(n2), "back");
        writer.Require(n2);
        await writer.UntilAsync(report => report.Synchronous.Contains(n2), "in sync again");
    }

    private VolumeBench Bench() => new(2) { CertificatesOf = node => _issued[node].Directory };

    // As n1's agent would, by the file alone.
    private void Revoke(NodeName at, NodeName node) =>
        new RevocationList(_issued[at].Directory).Add(new Dictionary<string, string> { [_issued[node].Own.SerialNumber] = node.Value });

    private NodeCertificate IssuedBy(CertificateAuthority authority, string node)
    {
        var directory = Path.Combine(_cluster.Path, $"{node}-next");
        authority.IssueNode(new NodeName(node), [IPAddress.Loopback], directory);
        return NodeCertificate.Load(directory);
    }

    private static Task<NbdClient> ConnectAsync(VolumeBench bench, NodeCertificate own) => NbdClient.ConnectAsync(
        $"nbds://{bench.AddressOf(n2)}:{bench.Spec.Port}/{Uri.EscapeDataString(LegName.Of(VolumeBench.Volume, first))}", new NbdClientOptions { Deadline = TimeSpan.FromSeconds(2), Tls = own.ClientOptions(n2, _ => { }) });

    private static async Task<bool> ReachesAsync(VolumeBench bench, NodeCertificate own)
    {
        try
        {
            await using var client = await ConnectAsync(bench, own);
            await client.ReadAsync(0, new byte[512]);
            return true;
        }
        catch (IOException)
        {
            return false;
        }
    }

    private static async Task UntilAsync(Func<Task<bool>> holds, string what)
    {
        for (var until = DateTime.UtcNow.AddSeconds(60); !await holds(); await Task.Delay(50, Token)) Assert.True(DateTime.UtcNow < until, $"not in time: {what}");
    }
}
