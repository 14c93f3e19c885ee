using System.Net.Sockets;
using System.Text.Json;
using Evenkeel.Agent.Volumes;
using Evenkeel.Core.Model;
using Evenkeel.Core.Volumes;
using Evenkeel.PrivateConnection.Certificates;
using Evenkeel.Raid.Nbd;
using Xunit;

namespace Evenkeel.Tests.Volumes;

/// <summary>A leg as other nodes reach it, with their certificates.</summary>
public sealed class LegProcessTests : IDisposable
{
    private const int Port = 7834;
    private static readonly NodeName n1 = new("n1"), n2 = new("n2"), witness = new("n3");
    private readonly string _root = Directory.CreateTempSubdirectory("ek-legs-").FullName;
    private readonly List<string> _said = [];

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public LegProcessTests()
    {
        using var authority = CertificateAuthority.Create("shop");
        foreach (var node in new[] { n1, n2, witness }) authority.IssueNode(node, [], Tls(node));
    }

    private string Control => Path.Combine(_root, "control");

    /// <returns>Once it serves: what ends with it.</returns>
    private async Task<Task> ServeAsync(CancellationToken stop)
    {
        var settings = new LegSettings("files", Path.Combine(_root, "leg.img"), 16 << 20, ["127.79.9.1"], Port, Path.Combine(_root, "nbd"), Control, Tls(n1));
        var leg = LegProcess.RunAsync(settings, line => { lock (_said) _said.Add(line); }, stop);
        await UntilAsync("served", () => Said("is served"));
        return leg;
    }

    /// <summary>An epoch that it named would shut the writer out for good.</summary>
    [Fact]
    public async Task Leg_AskedByANodeWithoutOne_RefusesAndKeepsItsEpoch()
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Token);
        var leg = await ServeAsync(stop.Token);
        await Assert.ThrowsAsync<IOException>(() => ConnectAsync(n2, new Epoch(1, 5))); // Nobody has said yet who may.
        using var agent = await VolumeBench.TellAsync(Control, new LegOrder(null, [n1, n2]), Token);
        for (var deadline = DateTime.UtcNow.AddSeconds(60); ;)
        {
            try
            {
                await (await ConnectAsync(n2, new Epoch(1, 5))).DisposeAsync();
                break;
            }
            catch (IOException) when (DateTime.UtcNow < deadline)
            {
                await Task.Delay(20, Token); // The order is on its way.
            }
        }

        await Assert.ThrowsAsync<IOException>(() => ConnectAsync(witness, new Epoch(1, 99)));
        Assert.True(Said("refused n3: it has no leg of the volume"));
        await (await ConnectAsync(n2, new Epoch(1, 6))).DisposeAsync();
        await stop.CancelAsync();
        await leg;
    }

    /// <summary>The agent puts it on the audit trail, where the strangers of all other doors are.</summary>
    [Fact]
    public async Task Leg_AskedByStrangers_TellsItsAgentWhoTheyWereAndWhy()
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Token);
        var leg = await ServeAsync(stop.Token);
        using var agent = await VolumeBench.TellAsync(Control, new LegOrder(null, [n1, n2]), Token);
        using (var others = CertificateAuthority.Create("shop")) others.IssueNode(n2, [], Path.Combine(_root, "tls-foreign"));
        // It believes whom it speaks to: it is the leg that must refuse.
        File.Copy(Path.Combine(Tls(n2), NodeCertificate.AuthorityFile), Path.Combine(_root, "tls-foreign", NodeCertificate.AuthorityFile), overwrite: true);
        for (var time = 0; time < 20; time++) await Assert.ThrowsAnyAsync<Exception>(() => ConnectAsync(new("foreign"), new Epoch(1, 5)));

        using var reader = new StreamReader(new NetworkStream(agent, ownsSocket: false));
        LegReport report;
        do report = JsonSerializer.Deserialize((await reader.ReadLineAsync(Token))!, VolumeJson.Default.LegReport)!;
        while (report.Refused.Count < 16); // Twenty strangers: no more than the last sixteen are told.
        Assert.All(report.Refused, stranger => Assert.Contains("'CN=n2' is not accepted", stranger.Reason, StringComparison.Ordinal));
        Assert.All(report.Refused, stranger => Assert.StartsWith("127.", stranger.From, StringComparison.Ordinal));
        Assert.Equal(report.Refused.Select(one => one.At).Distinct().Order(), report.Refused.Select(one => one.At));
        Assert.True(Said("leg of files: refused 127."));
        await stop.CancelAsync();
        await leg;
    }

    public void Dispose() => Directory.Delete(_root, recursive: true);

    private string Tls(NodeName node) => Path.Combine(_root, $"tls-{node}");

    private async Task<NbdClient> ConnectAsync(NodeName from, Epoch epoch)
    {
        using var certificate = NodeCertificate.Load(Tls(from));
        return await NbdClient.ConnectAsync($"nbds://127.79.9.1:{Port}/{Uri.EscapeDataString(LegName.Of("files", epoch))}",
            new NbdClientOptions { Deadline = TimeSpan.FromSeconds(5), Tls = certificate.ClientOptions(n1, _ => { }) });
    }

    private bool Said(string what)
    {
        lock (_said) return _said.Any(line => line.Contains(what, StringComparison.Ordinal));
    }

    private static async Task UntilAsync(string what, Func<bool> holds)
    {
        for (var until = DateTime.UtcNow.AddSeconds(60); !holds(); await Task.Delay(20, Token)) Assert.True(DateTime.UtcNow < until, $"not in time: {what}");
    }
}
