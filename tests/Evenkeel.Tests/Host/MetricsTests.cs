using System.Net;
using System.Text;
using Evenkeel.Agent.Control;
using Evenkeel.Agent.Host.Metrics;
using Evenkeel.Core.Loop;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.Core.PublicConnection;
using Evenkeel.PublicConnection.Balancer.Http;
using Evenkeel.PublicConnection.Balancer.Tcp;
using Evenkeel.Tests.Cli;
using Xunit;
using Announcement = Evenkeel.Core.Loop.Announcement;

namespace Evenkeel.Tests.Host;

public sealed class MetricsTests
{
    private static readonly NodeName s_n1 = new("n1");
    private static readonly BalancerStatistics s_balancer = new([], [new DestinationStatistics("web", s_n1,
        new PrivateEndpoint(IPAddress.Loopback, 5000), default, Healthy: true, Ejected: false, 2, 40, 3, 1, TimeSpan.FromMilliseconds(4), TimeSpan.FromMilliseconds(90))]);

    // One node of a service behind two doors: one label.
    private static readonly TcpStatistics s_tcp = new([], [.. new[] { 5432, 5433 }.Select(port => new TcpDestinationStatistics("db", s_n1,
        new PrivateEndpoint(IPAddress.Loopback, port), default, Healthy: true, Ejected: port == 5433, Open: 3, Connections: 50, Failures: 4, Retries: 1, BytesTo: 1000, BytesBack: 3_000_000_000))]);

    private static readonly DateTimeOffset s_day = new(2026, 3, 1, 0, 0, 0, TimeSpan.Zero);

    private static async Task<string> TextAsync(RunningMetrics running, NodeDates? dates = null)
    {
        using var written = new MemoryStream();
        await new MetricsEndpoint(running, _ => Task.FromResult(FakeControlPlane.Healthy("shop", "n1")), () => s_balancer, () => s_tcp,
            () => dates ?? new NodeDates(s_day, s_day.AddYears(10), HoldsStore: true, s_day.AddHours(-1))).WriteAsync(written, TestContext.Current.CancellationToken);
        return Encoding.UTF8.GetString(written.ToArray());
    }

    private static Announcement Said(AnnouncementKind kind, long milliseconds) =>
        new(kind, "words", ResourceId.Vip("front"), s_n1, null, new Instant(milliseconds * 1_000_000, milliseconds * 1_000_000));

    [Fact]
    public async Task State_IsToldInFull()
    {
        var text = await TextAsync(new RunningMetrics());
        foreach (var line in new[]
        {
            "evenkeel_controller 1", "evenkeel_store_quorum 1", "evenkeel_spec_revision 7", "evenkeel_node_alive{node=\"n3\"} 1", "evenkeel_guard_connected{node=\"n2\"} 1",
            "evenkeel_certificate_expiry_timestamp_seconds{certificate=\"node\"} 1772323200", "evenkeel_certificate_expiry_timestamp_seconds{certificate=\"authority\"} 2087942400",
            "evenkeel_store_snapshot_timestamp_seconds 1772319600",
            "evenkeel_vip_held{vip=\"front\"} 1", "evenkeel_vip_owner{vip=\"front\"} 0", "evenkeel_service_instances_healthy{service=\"web\"} 2",
            "evenkeel_balancer_requests_total{service=\"web\",node=\"n1\"} 40", "evenkeel_balancer_failures_total{service=\"web\",node=\"n1\"} 3",
            "evenkeel_balancer_tcp_connections_open{service=\"db\",node=\"n1\"} 6", "evenkeel_balancer_tcp_connections_total{service=\"db\",node=\"n1\"} 100",
            "evenkeel_balancer_tcp_connect_failures_total{service=\"db\",node=\"n1\"} 8", "evenkeel_balancer_tcp_connect_retries_total{service=\"db\",node=\"n1\"} 2",
            "evenkeel_balancer_tcp_sent_bytes_total{service=\"db\",node=\"n1\"} 2000", "evenkeel_balancer_tcp_received_bytes_total{service=\"db\",node=\"n1\"} 6000000000",
            "evenkeel_balancer_tcp_destination_usable{service=\"db\",node=\"n1\"} 1",
            "evenkeel_balancer_response_seconds{service=\"web\",node=\"n1\",quantile=\"0.99\"} 0.09",
        })
        {
            Assert.Contains("\n" + line + "\n", text, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Snapshot_NoneYetIsZero_AndANodeWithoutTheStoreTellsOfNone()
    {
        Assert.Contains("\nevenkeel_store_snapshot_timestamp_seconds 0\n", await TextAsync(new RunningMetrics(), new NodeDates(s_day, s_day, true, null)), StringComparison.Ordinal);
        Assert.DoesNotContain("evenkeel_store_snapshot", await TextAsync(new RunningMetrics(), new NodeDates(s_day, s_day, false, null)), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Failover_IsTimedFromDetectionToDecision_AndFromLeaseToService()
    {
        var running = new RunningMetrics();
        running.Happened(Said(AnnouncementKind.Detected, 1000));
        running.Happened(Said(AnnouncementKind.Committed, 1040));
        running.Happened(Said(AnnouncementKind.Acquired, 1100));
        running.Happened(Said(AnnouncementKind.Serving, 1102));
        var text = await TextAsync(running);
        Assert.Contains("evenkeel_failover_phase_seconds_count{phase=\"decide\"} 1", text, StringComparison.Ordinal);
        Assert.Contains("evenkeel_failover_phase_seconds_bucket{phase=\"decide\",le=\"0.025\"} 0", text, StringComparison.Ordinal);
        Assert.Contains("evenkeel_failover_phase_seconds_bucket{phase=\"decide\",le=\"0.05\"} 1", text, StringComparison.Ordinal);
        Assert.Contains("evenkeel_failover_phase_seconds_bucket{phase=\"take_over\",le=\"0.0025\"} 1", text, StringComparison.Ordinal);
    }

    [Theory, InlineData(AnnouncementKind.Recovered), InlineData(AnnouncementKind.ControllerDeposed)]
    public async Task TroubleThatEndedOrThatAnotherDecides_IsNotTimed(AnnouncementKind ended)
    {
        var running = new RunningMetrics();
        running.Happened(Said(AnnouncementKind.Detected, 1000));
        running.Happened(Said(ended, 1200));
        running.Happened(Said(AnnouncementKind.Committed, 9000));
        Assert.DoesNotContain("phase=\"decide\"", await TextAsync(running), StringComparison.Ordinal);
    }

    [Fact]
    public async Task LeaseThatEndedBeforeService_IsNoFailover()
    {
        var running = new RunningMetrics();
        running.Happened(Said(AnnouncementKind.Acquired, 1000));
        running.Happened(Said(AnnouncementKind.LeaseEnded, 1010));
        running.Happened(Said(AnnouncementKind.Serving, 1020));
        Assert.DoesNotContain("phase=\"take_over\"", await TextAsync(running), StringComparison.Ordinal);
    }

    [Fact]
    public async Task EveryMetric_HasHelp_AndKeepsToTheNamingConventions()
    {
        var running = new RunningMetrics();
        running.StoreTook("commit", TimeSpan.FromMilliseconds(3), false);
        running.Happened(Said(AnnouncementKind.Detected, 1000));
        var lines = (await TextAsync(running)).Split('\n');
        var types = lines.Where(line => line.StartsWith("# TYPE ", StringComparison.Ordinal)).Select(line => line.Split(' ')).ToList();
        Assert.True(types.Count > 20);
        Assert.All(types, type =>
        {
            Assert.Matches("^evenkeel_[a-z_]+$", type[2]);
            Assert.Equal(type[3] == "counter", type[2].EndsWith("_total", StringComparison.Ordinal));
            Assert.Contains(lines, line => line.StartsWith($"# HELP {type[2]} ", StringComparison.Ordinal) && line.EndsWith('.'));
        });
        Assert.Equal(types.Count, types.Select(type => type[2]).Distinct().Count());
    }

    [Theory, InlineData("203.0.113.11:9477"), InlineData("0.0.0.0:9477"), InlineData("9477"), InlineData("127.0.0.1")]
    public async Task AddressThatIsNotPrivate_IsRefused(string address)
    {
        var metrics = new MetricsEndpoint(new RunningMetrics(), _ => Task.FromResult(FakeControlPlane.Healthy("shop", "n1")), () => s_balancer, () => s_tcp, () => new NodeDates(s_day, s_day, false, null));
        var refusal = await Assert.ThrowsAsync<InvalidDataException>(() => metrics.ListenAsync(address, [IPAddress.Parse("10.77.0.11")]));
        Assert.Contains(address, refusal.Message, StringComparison.Ordinal);
    }
}
