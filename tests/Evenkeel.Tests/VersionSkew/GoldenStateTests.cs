using System.Text;
using System.Text.Json;
using Evenkeel.Agent.Host;
using Evenkeel.Agent.Volumes;
using Evenkeel.Cli;
using Evenkeel.Core.Loop;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Loop.Store;
using Evenkeel.Core.Model;
using Evenkeel.Core.PublicConnection;
using Evenkeel.Core.Volumes;
using Xunit;

namespace Evenkeel.Tests.VersionSkew;

/// <summary>What stands in a store, and on disks, as the build of <c>PreviousBuild</c> (009d60f) writes it: read, in every format that this program says it reads.</summary>
public sealed class GoldenStateTests
{
    private static readonly (string Key, string Value)[] first =
    [
        ("spec", """{"cluster":"shop","networks":{"public":"203.0.113.0/24","private":["10.10.0.0/24"]},"vips":{"front":{"name":"front","address":"203.0.113.10","prefixLength":24}},"nodes":{"n1":{"name":"n1","public":"203.0.113.11","private":["10.10.0.11"]},"n2":{"name":"n2","public":"203.0.113.12","private":["10.10.0.12"]}},"services":{"web":{"name":"web","redundancy":"Hot","activity":"Spread","instances":2,"driver":{"driver":"process","command":["./web"],"port":5000}}}}"""),
        ("incarnation", "2"),
        ("controller", """{"node":"n2","epoch":4}"""),
        ("owner/vip/front", """{"resource":"vip/front","current":{"node":"n1","session":"0000000000000007","epoch":"2.5"},"lastEpoch":"2.5","previous":"n2","reason":"lost"}"""),
        ("assignment/web", """{"service":"web","nodes":["n1","n2"],"reason":"both are free"}"""),
        ("node/n2", """{"node":"n2","mode":"Draining","reason":"upgrade"}"""),
        ("move/service/db", """{"resource":"service/db","to":"n1"}"""),
        ("restart/web/n1", """{"service":"web","node":"n1"}"""),
        ("sync/db", """{"service":"db","epoch":"2.5","members":["n1","n2"],"data":"74123"}"""),
        ("fence/n2", """{"node":"n2","number":8,"incarnation":2,"phase":"Confirmed","session":"0000000000000003","byOperator":true,"reason":"smoke","detail":"the switch says so"}"""),
        ("backup/db-daily", """{"job":"db-daily","incarnation":2,"since":10,"done":{},"failures":1}"""),
    ];

    private readonly StateCodec codec = new("shop");

    private StoreSnapshot Snapshot(params (string Key, string Value)[] records) =>
        new(9, [.. records.Select(record => new StoreEntry(codec.Keys.Prefix + record.Key, Encoding.UTF8.GetBytes(record.Value), 5))]);

    [Theory, InlineData(null), InlineData(1), InlineData(2)]
    public void State_OfEachFormatThatIsRead_IsReadAsItWasWrittenDown(int? format)
    {
        var state = codec.Read(Snapshot(format is { } number ? [.. first, ("format", $"{number}")] : first));
        Assert.Empty(codec.Problems);
        Assert.Equal((format ?? StateFormat.First, 2), (Math.Max(state.Format, StateFormat.First), state.Incarnation));
        Assert.Equal(new Controller(new("n2"), 4), state.Controller!.Value.Value);
        Assert.Equal(new Ownership(ResourceId.Vip("front"), new Owner(new("n1"), new(7), new(2, 5)), new(2, 5)) { Previous = new("n2"), Reason = "lost" }, state.Ownerships[ResourceId.Vip("front")].Value);
        Assert.Equal([new("n1"), new("n2")], state.Assignments["web"].Value.Nodes);
        Assert.Equal(NodeMode.Draining, state.Nodes[new("n2")].Value.Mode);
        Assert.Equal(new NodeName("n1"), state.Moves[ResourceId.Service("db")].Value.To);
        Assert.Equal(new RestartRequest("web", new("n1")), state.Restarts["web/n1"].Value);
        Assert.Equal(("74123", (int?)null, (Epoch?)null), (state.SyncSets["db"].Value.Data, state.SyncSets["db"].Value.Any, state.SyncSets["db"].Value.Wrote));
        Assert.Equal(FencePhase.Confirmed, state.Fences[new("n2")].Value.Phase);
        Assert.Equal(1, state.Backups["db-daily"].Value.Failures);
        // What a spec of then does not say is what it was then.
        var web = state.Spec!.Value.Value.Services["web"];
        Assert.Equal((2, ServiceSpec.StandardDrainTimeout), (web.Instances, web.DrainTimeout));
        Assert.Equal(5000, Assert.IsType<ProcessDriverSpec>(web.Driver).Port);
        Assert.Equal(Timings.Default, state.Spec.Value.Value.Timings);
        Assert.Empty(state.Spec.Value.Value.Volumes);
    }

    [Fact]
    public void Record_ReadAndWritten_SaysAllThatItSaidInTheVersionBefore()
    {
        var state = codec.Read(Snapshot(first));
        Write[] written =
        [
            codec.Put(state.Spec!.Value.Value), codec.PutIncarnation(state.Incarnation), codec.Put(state.Controller!.Value.Value), codec.Put(state.Ownerships.Values.Single().Value),
            codec.Put(state.Assignments.Values.Single().Value), codec.Put(state.Nodes.Values.Single().Value), codec.Put(state.Moves.Values.Single().Value), codec.Put(state.Restarts.Values.Single().Value),
            codec.Put(state.SyncSets.Values.Single().Value), codec.Put(state.Fences.Values.Single().Value), codec.Put(state.Backups.Values.Single().Value),
        ];
        Assert.Equal(first.Select(record => codec.Keys.Prefix + record.Key), written.Select(write => write.Key));
        foreach (var (record, write) in first.Zip(written)) GoldenGuardPipeTests.Contains(record.Value, Encoding.UTF8.GetString(write.Value!.Value.Span));
    }

    /// <summary>That the agent then ends, and how its service manager hears it, is <c>UpgradeTests</c>' (EndToEnd) to show.</summary>
    [Fact]
    public void State_OneFormatTooNew_IsNotLookedAt_AndTheAgentIsToEndWithAdvice()
    {
        var newer = StateFormat.Current + 1;
        var loop = new AgentLoop("shop", new("n1"), new RequestIds(1), new DoorPolicy(null));
        var effects = loop.Step(new StoreRead(Snapshot([.. first, ("format", $"{newer}")])), new Instant(1_000_000_000, 1_000_000_000));
        Assert.Equal(new StateTooNew(newer), Assert.Single(effects, effect => effect is StateTooNew));
        Assert.DoesNotContain(effects, effect => effect is Commit);
        Assert.Null(loop.Known.State.Spec);
        // Nor is what is said of it later.
        loop.Step(new StoreChanged(new WatchBatch(10, [new StoreEntry(codec.Keys.Controller, Encoding.UTF8.GetBytes("""{"node":"n1","epoch":5}"""), 10)], [])), new Instant(2_000_000_000, 2_000_000_000));
        Assert.Null(loop.Known.State.Controller);
        Assert.Contains($"is of format {newer}, and this program", new StateTooNewException(newer).Message, StringComparison.Ordinal);
        Assert.Equal(5, ExitCode.TooOld);
    }

    [Fact]
    public void StatesOneFormatTooNew_ArrivingAsAChange_EndItToo()
    {
        var loop = new AgentLoop("shop", new("n1"), new RequestIds(1), new DoorPolicy(null));
        loop.Step(new StoreRead(Snapshot(first)), new Instant(1_000_000_000, 1_000_000_000));
        Assert.NotNull(loop.Known.State.Spec);
        var effects = loop.Step(new StoreChanged(new WatchBatch(10, [new StoreEntry(codec.Keys.Format, "99"u8.ToArray(), 10)], [])), new Instant(2_000_000_000, 2_000_000_000));
        Assert.Contains(new StateTooNew(99), effects);
    }

    [Theory]
    [InlineData("""{"driver":"of-a-later-version"}""")]
    [InlineData("""{"command":["./web"]}""")] // Nothing says what it is.
    public void Spec_WithADriverThatIsNotKnown_IsTold_AndTheOtherRecordsStand(string driver)
    {
        var later = first[0].Value.Replace("""{"driver":"process","command":["./web"],"port":5000}""", driver, StringComparison.Ordinal);
        var state = codec.Read(Snapshot([("spec", later), .. first[1..]]));
        Assert.Contains("/spec: ", Assert.Single(codec.Problems), StringComparison.Ordinal);
        Assert.Null(state.Spec);
        Assert.Equal(new Controller(new("n2"), 4), state.Controller!.Value.Value);
    }

    [Fact]
    public void Legs_OfTheVersionBefore_AreUnderstood()
    {
        // An agent that does not say who may write; a leg that does not say whom it refused.
        Assert.Equal(("74123", (IReadOnlyList<NodeName>?)null), JsonSerializer.Deserialize("""{"data":"74123"}""", VolumeJson.Default.LegOrder) is { } order ? (order.Data, order.Writers) : default);
        var report = JsonSerializer.Deserialize("""{"epoch":"1.5","data":"74123","events":12,"complete":true}""", VolumeJson.Default.LegReport)!;
        Assert.Equal((new Epoch(1, 5), "74123", 12L, true, (string?)null), (report.Epoch, report.Data, report.Events, report.Complete, report.Problem));
        Assert.Empty(report.Refused);
        var settings = JsonSerializer.Deserialize("""{"volume":"files","path":"/srv/leg.img","bytes":1024,"addresses":["10.77.0.11"],"port":7820,"localSocket":"/a","controlSocket":"/b","certificates":"/tls"}""", VolumeJson.Default.LegSettings)!;
        Assert.Equal(("files", 7820, "/tls"), (settings.Volume, settings.Port, settings.Certificates));
        // Names by which writers ask: without a connection's number (before), and with one.
        Assert.True(LegName.TryParse("files@1.5", out var volume, out var epoch, out var connection, out _) && (volume, epoch, connection) == ("files", new Epoch(1, 5), 0L));
        Assert.True(LegName.TryParse("files@1.5.8412", out volume, out epoch, out connection, out _) && (volume, epoch, connection) == ("files", new Epoch(1, 5), 8412L));
        Assert.False(LegName.TryParse("files@1.5.8412.1", out _, out _, out _, out _));
    }

    [Fact]
    public void Writers_OfTheVersionBefore_AreUnderstood()
    {
        const string order = """{"epoch":"1.5","required":["n2"],"syncRate":1000,"verify":2,"repair":true}""";
        GoldenGuardPipeTests.Contains(order, JsonSerializer.Serialize(JsonSerializer.Deserialize(order, VolumeJson.Default.WriterOrder)!, VolumeJson.Default.WriterOrder));
        const string report = """{"phase":"Mounted","required":["n2"],"synchronous":["n2"],"followers":["n2"],"data":"74123","activity":"idle","doneBytes":1,"totalBytes":2,"verified":2,"mismatches":0,"frozen":1,"detail":"x"}""";
        GoldenGuardPipeTests.Contains(report, JsonSerializer.Serialize(JsonSerializer.Deserialize(report, VolumeJson.Default.WriterReport)!, VolumeJson.Default.WriterReport));
    }

    [Fact]
    public void LegsRecord_IsReadAsItWasWrittenDown_AndALaterOneIsNot()
    {
        const string body = """{"volume":"files","epoch":"1.5","data":"74123","fresh":true}""";
        Assert.Equal(new LegRecord("files", new Epoch(1, 5), "74123", true), LegRecord.Parse(Sector($"evenkeel-leg-1 {Sum} {body}\n")));
        Assert.Null(LegRecord.Parse(Sector($"evenkeel-leg-2 {Sum} {body}\n")));
        Assert.Null(LegRecord.Parse(Sector($"evenkeel-leg-1 {Sum} {body.Replace("1.5", "1.6", StringComparison.Ordinal)}\n")));
    }

    /// <summary>The first 16 digits of the body's SHA-256.</summary>
    private const string Sum = "4a7c241ab1ea7f0e";

    private static byte[] Sector(string text)
    {
        var sector = new byte[512];
        Encoding.UTF8.GetBytes(text).CopyTo(sector, 0);
        return sector;
    }
}
