using Evenkeel.Agent.Host;
using Evenkeel.Agent.Host.Tracing;
using Evenkeel.Core.Model;
using Xunit;

namespace Evenkeel.Tests.Tracing;

/// <summary>Spans that several nodes write of one failover, as a collector gets them.</summary>
public sealed class TracingTests
{
    private static readonly DateTimeOffset Began = DateTimeOffset.UtcNow.AddSeconds(-2);

    private static CancellationToken Soon
    {
        get
        {
            var limit = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
            limit.CancelAfter(TimeSpan.FromSeconds(20));
            return limit.Token;
        }
    }

    private static AgentConfiguration Node(string name) => new()
    {
        Cluster = "shop", Node = new NodeName(name), StateDirectory = "/nowhere", ControlSocket = "", GuardSocket = "", Private = [], Store = StoreKind.Etcd, StoreEndpoints = [], WorkingDirectory = "/",
    };

    [Theory, InlineData(OtlpProtocol.Http), InlineData(OtlpProtocol.Grpc)]
    public async Task Spans_OfTwoNodesThatKnowOnlyTheEpoch_AreOneTreeAtTheCollector(OtlpProtocol protocol)
    {
        await using var receiver = await OtlpReceiver.StartAsync(protocol == OtlpProtocol.Grpc);
        var settings = new TelemetrySettings(new TelemetrySpec(new Uri($"http://127.0.0.1:{receiver.Port}")) { Protocol = protocol }, "Bearer k=e,y");
        var subject = Guid.NewGuid().ToString();
        using (TelemetryExport.Open(settings, Node("n2"), _ => { }))
        {
            var taken = SpanWriter.Write(new SpanWriter(subject).Root, "take over", Began.AddMilliseconds(300), Began.AddMilliseconds(400), [new("evenkeel.node", "n2")]);
            SpanWriter.Write(taken, "promise", Began.AddMilliseconds(300), Began.AddMilliseconds(310));
            new SpanWriter(subject).WriteRoot("failover of vip/front", Began, Began.AddMilliseconds(500), null, [new("evenkeel.to", "n2")]);
        }

        var spans = await receiver.UntilAsync(all => all.Count(span => span.Trace == new SpanWriter(subject).Trace.ToHexString()) == 3, Soon);
        spans = [.. spans.Where(span => span.Trace == new SpanWriter(subject).Trace.ToHexString())];
        var root = Assert.Single(spans, span => span.Parent == "");
        var takeOver = Assert.Single(spans, span => span.Parent == root.Id);
        var promise = Assert.Single(spans, span => span.Parent == takeOver.Id);
        Assert.Equal(("failover of vip/front", "take over", "promise"), (root.Name, takeOver.Name, promise.Name));
        Assert.Equal("n2", root.Attributes["evenkeel.to"]);
        Assert.Equal(500, root.Milliseconds, 0.1);
        Assert.Equal(("evenkeel", "shop", "n2"), (root.Resource["service.name"], root.Resource["service.namespace"], root.Resource["service.instance.id"]));
        Assert.All(receiver.Authorizations, said => Assert.Equal("Bearer k=e,y", said));
        Assert.NotEmpty(receiver.Authorizations);
    }

    [Fact]
    public async Task Root_OfATakeoverThatDidNotHappen_SaysSo()
    {
        await using var receiver = await OtlpReceiver.StartAsync();
        var subject = Guid.NewGuid().ToString();
        using (TelemetryExport.Open(new TelemetrySettings(new TelemetrySpec(new Uri($"http://127.0.0.1:{receiver.Port}/")), null), Node("n1"), _ => { }))
            new SpanWriter(subject).WriteRoot("failover of vip/front", Began, Began.AddSeconds(1), "n2 has not taken it over");
        var root = (await receiver.UntilAsync(all => all.Any(span => span.Trace == new SpanWriter(subject).Trace.ToHexString()), Soon)).Single(span => span.Trace == new SpanWriter(subject).Trace.ToHexString());
        Assert.Equal(2, root.Status);
    }

    [Fact]
    public async Task Collector_NotThere_IsToldOnce()
    {
        var told = new List<string>();
        await using var receiver = await OtlpReceiver.StartAsync();
        var port = receiver.Port;
        await receiver.DisposeAsync();
        using (TelemetryExport.Open(new TelemetrySettings(new TelemetrySpec(new Uri($"http://127.0.0.1:{port}")), null), Node("n1"), told.Add))
            for (var time = 0; time < 3; time++) new SpanWriter(Guid.NewGuid().ToString()).WriteRoot("failover", Began, Began.AddSeconds(1), null);
        Assert.Contains("cannot be delivered", Assert.Single(told), StringComparison.Ordinal);
    }

    public static TheoryData<string?, string?, bool, string?> Places => new()
    {
        { null, null, false, null },
        { null, null, true, "file" },
        { "http://elsewhere:4318", null, true, "variables" },
        { "http://elsewhere:4318", null, false, "variables" },
        { "http://elsewhere:4318", "none", true, null },
    };

    [Theory, MemberData(nameof(Places))]
    public void Settings_ByVariablesAndFile(string? endpoint, string? exporter, bool file, string? expected)
    {
        var settings = TelemetrySettings.Of(file ? new TelemetrySpec(new Uri("http://there:4318")) : null,
            name => name switch { "OTEL_EXPORTER_OTLP_ENDPOINT" => endpoint, "OTEL_TRACES_EXPORTER" => exporter, _ => null });
        Assert.Equal(expected, settings is null ? null : settings.Spec is null ? "variables" : "file");
    }

    [Fact]
    public void Writer_WhenNobodyListens_MakesNothing() =>
        Assert.Equal(default, SpanWriter.Write(new SpanWriter("x").Root, "take over", Began, Began));
}
