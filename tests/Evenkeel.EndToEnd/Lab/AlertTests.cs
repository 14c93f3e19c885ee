using System.Text.Json;
using Evenkeel.Core.Model;
using Xunit;

namespace Evenkeel.EndToEnd.Lab;

/// <summary>Three nodes without services; whoever tells writes into one file.</summary>
public sealed class AlertLab() : NamespaceLab("al")
{
    private readonly string directory = Directory.CreateTempSubdirectory("evenkeel-alerts-").FullName;

    protected override string FileText => $$"""
        version: 1
        cluster: {{Name}}
        networks: { public: 203.0.113.0/24, private: [10.77.0.0/24] }
        vips: { front: 203.0.113.10 }
        nodes:
          n1: { public: 203.0.113.11, private: [10.77.0.11] }
          n2: { public: 203.0.113.12, private: [10.77.0.12] }
          n3: { public: 203.0.113.13, private: [10.77.0.13] }
        alerts:
          log: { command: [sh, -c, 'cat >>"$0"; echo >>"$0"', {{directory}}/told], after: 2s }
        """;

    protected override string WorkingDirectory => directory;

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        Directory.Delete(directory, recursive: true);
        GC.SuppressFinalize(this);
    }

    /// <summary>What the receiver got, in order: state, alert, subject, who told.</summary>
    internal IReadOnlyList<(string State, string Alert, string Subject, string Node)> Told
    {
        get
        {
            var file = Path.Combine(directory, "told");
            return !File.Exists(file) ? [] : [.. File.ReadAllLines(file).Where(line => line.Length > 0).Select(line => JsonDocument.Parse(line).RootElement)
                .Select(message => (Text(message, "state"), Text(message, "alert"), Text(message, "subject"), Text(message, "node")))];
            static string Text(JsonElement message, string name) => message.GetProperty(name).GetString()!;
        }
    }

    internal async Task<NodeName> ControllerAsync(NodeName? except = null)
    {
        for (var deadline = Deadline(); ; await Task.Delay(50, deadline))
            if ((await Cluster.StatusAsync(deadline))?.Controller is { } controller && controller.Node != except) return controller.Node;
    }

    /// <summary>Waits until the receiver was told so, by whomever.</summary>
    internal async Task<string> UntilToldAsync(string state, string alert, string subject, int skip = 0)
    {
        string? teller = null;
        await InTimeAsync(async deadline =>
        {
            while ((teller = Told.Skip(skip).FirstOrDefault(one => (one.State, one.Alert, one.Subject) == (state, alert, subject)).Node) is null) await Task.Delay(50, deadline);
        }, () => Task.FromResult($"{state} {alert} {subject} was never told, but: {string.Join("; ", Told)}"));
        return teller!;
    }
}

/// <summary>The receivers of the cluster's file are told of real faults, and that they are over; also when the teller itself is the fault.</summary>
[Trait("needs", "root")]
[Trait("Turn", "2")]
public sealed class AlertTests(AlertLab lab) : IClassFixture<AlertLab>
{
    [Fact]
    public async Task NodeLostAndBack_IsToldByTheController()
    {
        await lab.RestoreAsync();
        var controller = await lab.ControllerAsync();
        var lost = lab.Cluster.Nodes.Keys.First(node => node != controller);
        var before = lab.Told.Count;
        lab.Cluster.Kill(lost);
        Assert.Equal(controller.Value, await lab.UntilToldAsync("firing", "node-lost", $"node/{lost}", before));
        await lab.RestoreAsync();
        await lab.UntilToldAsync("resolved", "node-lost", $"node/{lost}", before);
        // Nothing is told twice while nobody takes the telling over.
        Assert.Single(lab.Told.Skip(before), one => one is ("firing", "node-lost", _, _));
    }

    [Trait("Stage", "long")]
    [Fact]
    public async Task ControllerLost_ItsSuccessorTells()
    {
        await lab.RestoreAsync();
        var controller = await lab.ControllerAsync();
        var before = lab.Told.Count;
        lab.Cluster.Kill(controller);
        var next = await lab.ControllerAsync(except: controller);
        Assert.Equal(next.Value, await lab.UntilToldAsync("firing", "node-lost", $"node/{controller}", before));
        await lab.RestoreAsync();
        await lab.UntilToldAsync("resolved", "node-lost", $"node/{controller}", before);
    }
}
