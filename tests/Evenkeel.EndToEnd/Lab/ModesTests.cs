using Evenkeel.Core.Model;
using Xunit;

namespace Evenkeel.EndToEnd.Lab;

/// <summary>
/// One program three times, cold, warm and hot, on the same nodes behind one virtual IP. The cold one brings its data in place before it
/// starts; the warm one is made active by a command.
/// </summary>
public sealed class ModesLab() : NamespaceLab("m")
{
    public const string Address = "203.0.113.10";
    /// <summary>Asking costs the agents time that the takeovers need.</summary>
    public static readonly TimeSpan Between = TimeSpan.FromMilliseconds(250);
    public static readonly (string Service, int Port)[] Doors = [("hot", 81), ("warm", 82), ("cold", 83)];
    private readonly string directory = Directory.CreateTempSubdirectory("evenkeel-modes-").FullName;

    protected override string FileText => $$"""
        version: 1
        cluster: {{Name}}
        networks: { public: 203.0.113.0/24, private: [10.77.0.0/24] }
        vips: { front: { address: {{Address}}, prefer: [n3] } }
        nodes:
          n1: { public: 203.0.113.11, private: [10.77.0.11] }
          n2: { public: 203.0.113.12, private: [10.77.0.12] }
          n3: { public: 203.0.113.13, private: [10.77.0.13] }
        services:
          hot:
            process: { command: {{Program(5001)}} }
            redundancy: hot
            health: { http: /healthz }
            publish: [{ vip: front, port: 81, protocol: http }]
          warm:
            process:
              command: {{Program(5002)}}
              promote: [touch, "{{directory}}/{node}-acts"]
              demote: [rm, -f, "{{directory}}/{node}-acts"]
            redundancy: warm
            health: { http: /healthz }
            placement: { prefer: [n1, n2] }
            publish: [{ vip: front, port: 82, protocol: http }]
          cold:
            process:
              command: {{Program(5003)}}
              prepare: [cp, "{{directory}}/origin", "{{directory}}/{node}-data"]
            redundancy: cold
            health: { http: /healthz }
            placement: { prefer: [n1, n2] }
            publish: [{ vip: front, port: 83, protocol: http }]
        """;

    protected override string WorkingDirectory => Path.Combine(Checkout.Root, "examples", "web");

    public override async ValueTask InitializeAsync()
    {
        await File.WriteAllTextAsync(Path.Combine(directory, "origin"), "the data", Deadline());
        await base.InitializeAsync();
    }

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        Directory.Delete(directory, recursive: true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Everybody's instance of the warm service that its command has made the active one, and not taken back.</summary>
    internal IReadOnlyList<string> Promoted => [.. Directory.GetFiles(directory, "*-acts").Select(path => Path.GetFileName(path)[..2]).Order(StringComparer.Ordinal)];
    internal bool HasData(NodeName node) => File.Exists(Path.Combine(directory, $"{node}-data"));

    internal async Task<NodeName?> OwnerAsync(string service) =>
        (await Cluster.StatusAsync(Deadline()))?.Services.Single(one => one.Name == service).Instances.Where(one => one is { Active: true, Health: Health.Healthy }).Select(one => (NodeName?)one.Node).FirstOrDefault();

    internal async Task MoveAsync(string service, NodeName to)
    {
        if (await OwnerAsync(service) != to) Assert.Null(await Cluster.MoveAsync(ResourceId.Service(service), to, Deadline()));
        for (var deadline = Deadline(); await OwnerAsync(service) != to; await Task.Delay(Between, deadline)) { }
    }

    protected override async Task UntilWholeAsync(CancellationToken deadline)
    {
        await base.UntilWholeAsync(deadline);
        foreach (var service in new[] { "warm", "cold" })
            while (await OwnerAsync(service) is null) await Task.Delay(50, deadline);
    }

    private static string Program(int port) => $$"""[./service/bin/web, --urls, "http://{private}:{{port}}", --node, "{node}"]""";
}

/// <summary>What a takeover costs clients in each mode: hot nothing, warm a promotion, cold a start.</summary>
[Trait("needs", "root")]
[Trait("Turn", "3")]
public sealed class ModesTests(ModesLab lab, ITestOutputHelper output) : IClassFixture<ModesLab>
{
    private static readonly NodeName n1 = new("n1"), n2 = new("n2"), n3 = new("n3");
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public Task Node_Lost_HotGoesOnWarmIsPromotedColdIsStarted() => lab.PlayAsync(async () =>
    {
        await BeginAsync();
        var seen = await WatchAsync(async () =>
        {
            lab.Cluster.Kill(n1);
            await UntilElsewhereAsync();
        });
        output.WriteLine("node killed: " + string.Join("; ", seen.Select(one => $"{one.Service}: outage {one.Seen.LongestOutage:F0} ms, {one.Seen.Failed.Count} of {one.Seen.Requests.Count} failed")));
        Assert.InRange(Of(seen, "hot").LongestOutage, 0, 500);
        Assert.InRange(Of(seen, "warm").LongestOutage, 0, 2000);
        Assert.InRange(Of(seen, "cold").LongestOutage, Of(seen, "warm").LongestOutage, 10_000);
        var owner = (await lab.OwnerAsync("cold"))!.Value;
        Assert.True(lab.HasData(owner), "the data is in place where it started");
    });

    [Fact]
    public Task Role_Moved_TheFormerOneIsDemotedFirst() => lab.PlayAsync(async () =>
    {
        // The agents' first moves are compiled while they run.
        foreach (var to in new[] { n2, n1, n2 }) foreach (var service in new[] { "warm", "cold" }) await lab.MoveAsync(service, to);
        await BeginAsync();
        var seen = await WatchAsync(async () =>
        {
            await lab.MoveAsync("warm", n2);
            await lab.MoveAsync("cold", n2);
        });
        output.WriteLine("moved: " + string.Join("; ", seen.Select(one => $"{one.Service}: outage {one.Seen.LongestOutage:F0} ms, {one.Seen.Failed.Count} of {one.Seen.Requests.Count} failed")));
        Assert.Equal(["n2"], lab.Promoted);
        Assert.Empty(Of(seen, "hot").Failed);
    });

    private async Task BeginAsync()
    {
        await lab.RestoreAsync();
        foreach (var service in new[] { "warm", "cold" }) await lab.MoveAsync(service, n1);
        if (await lab.Cluster.FrontDoorOwnerAsync(Token) != n3) Assert.Null(await lab.Cluster.MoveAsync(ResourceId.Vip("front"), n3, Token));
        for (var deadline = NamespaceLab.Deadline(); await lab.Cluster.FrontDoorOwnerAsync(deadline) != n3;) await Task.Delay(50, deadline);
    }

    private async Task UntilElsewhereAsync()
    {
        foreach (var service in new[] { "warm", "cold" })
            for (var deadline = NamespaceLab.Deadline(); await lab.OwnerAsync(service) is not { } owner || owner == n1; await Task.Delay(ModesLab.Between, deadline)) { }
    }

    private async Task<IReadOnlyList<(string Service, Sighting Seen)>> WatchAsync(Func<Task> what)
    {
        List<(string Service, Observer Observer)> watched = [];
        try
        {
            foreach (var door in ModesLab.Doors) watched.Add((door.Service, await Observer.StartAsync(lab.Cluster.Network.Namespace("client"), $"{ModesLab.Address}:{door.Port}", arp: false, every: 25)));
            await lab.SettledAsync();
            await what();
            await Task.Delay(1500, Token);
            List<(string, Sighting)> seen = [];
            foreach (var (service, observer) in watched) seen.Add((service, await observer.EndAsync()));
            return seen;
        }
        finally
        {
            foreach (var (_, observer) in watched) observer.Dispose();
        }
    }

    private static Sighting Of(IReadOnlyList<(string Service, Sighting Seen)> seen, string service) => seen.Single(one => one.Service == service).Seen;
}
