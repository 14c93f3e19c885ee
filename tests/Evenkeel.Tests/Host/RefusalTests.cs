using Evenkeel.Agent.Host;
using Evenkeel.Agent.Host.Audit;
using Evenkeel.Core.Model;
using Evenkeel.Tests.Api;
using Evenkeel.Tests.Cli;
using Xunit;

namespace Evenkeel.Tests.Host;

/// <summary>Who was turned away is written down, and cannot fill the disk by coming back.</summary>
public sealed class RefusalTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();
    private readonly FixedTime _clock = new(DateTimeOffset.UnixEpoch);
    private readonly List<string> _log = [];
    private readonly AuditTrail _trail;
    private readonly RefusalTrail _refusals;

    public RefusalTests()
    {
        _trail = new AuditTrail(Path.Combine(_directory.Path, "audit.jsonl"), _log.Add);
        _refusals = new RefusalTrail(_trail, new NodeName("n1"), _clock, _log.Add);
    }

    public void Dispose() => _directory.Dispose();

    [Fact]
    public void Add_SameAddressAndReason_IsOneEntryAMinute_AnotherReasonIsAnother()
    {
        for (var i = 0; i < 100; i++) _refusals.Add("etcd", $"10.0.0.9:{4000 + i}", "foreign");
        _refusals.Add("etcd", "10.0.0.9:1", "revoked");
        Assert.Equal(["foreign", "revoked"], _trail.Last(9).Select(entry => entry.Said));
        Assert.All(_trail.Last(9), entry => Assert.Equal(("10.0.0.9", "connect to etcd", "refused"), (entry.Name, entry.What, entry.Outcome)));
        _clock.Now += TimeSpan.FromMinutes(1);
        _refusals.Add("etcd", "10.0.0.9:2", "foreign");
        Assert.Equal("foreign, and 99 times more since the last entry", _trail.Last(1)[0].Said);
    }

    [Fact]
    public void Add_MoreStrangersThanPlaces_AreCounted()
    {
        for (var i = 0; i < 3000; i++) _refusals.Add("etcd", $"10.{i / 250}.0.{i % 250}", "foreign");
        Assert.Equal(1000, _trail.Last(5000).Count);
        _clock.Now += TimeSpan.FromMinutes(1);
        _refusals.Add("etcd", "10.99.0.1", "foreign");
        Assert.Contains("2000 others were not written down", _trail.Last(1)[0].Said, StringComparison.Ordinal);
    }

    [Fact]
    public void EtcdsLog_OnlyWhatIsNew_AndOnlyCertificates()
    {
        var file = Path.Combine(_directory.Path, "etcd.log");
        string Line(string address, string error) => $$"""{"level":"warn","ts":"2026-01-02","msg":"rejected connection","remote-addr":"{{address}}","server-name":"","error":"{{error}}"}""" + "\n";
        File.WriteAllText(file, Line("10.0.0.1:1", "x509: certificate signed by unknown authority"));
        var told = new List<string>();
        var refusals = new EtcdRefusals(file, (from, reason) => told.Add($"{from} {reason}"));
        refusals.Look();
        Assert.Empty(told);
        var half = Line("10.0.0.2:2", "remote error: tls: bad certificate");
        File.AppendAllText(file, Line("10.0.0.3:3", "EOF") + "no json \"rejected connection\"\n" + half[..40]);
        refusals.Look();
        Assert.Empty(told);
        File.AppendAllText(file, half[40..]);
        refusals.Look();
        Assert.Equal(["10.0.0.2:2 remote error: tls: bad certificate"], told);
        // etcd has begun its log anew.
        File.WriteAllText(file, Line("10.0.0.4:4", "tls: expired certificate"));
        refusals.Look();
        Assert.Equal(2, told.Count);
    }

    [Fact]
    public void EtcdsLog_GrownPastItsLimit_IsCutUnderItsWriter_AndReadOn()
    {
        var file = Path.Combine(_directory.Path, "etcd.log");
        string Line(int number) => $$"""{"msg":"rejected connection","remote-addr":"10.0.0.2:{{number}}","error":"tls: bad certificate"}""" + "\n";
        // As O_APPEND does, with which etcd and the shell hold it (a FileStream keeps a position of its own).
        void Write(string line) => File.AppendAllText(file, line);
        Write("");
        var told = 0;
        var refusals = new EtcdRefusals(file, (_, _) => told++, maximumBytes: 1000);
        refusals.Look();
        for (var round = 0; round < 100; round++)
        {
            for (var i = 0; i < 5; i++) Write(Line(i));
            refusals.Look();
            Assert.InRange(new FileInfo(file).Length, 0, 1000);
        }

        Assert.Equal(500, told);
        Assert.InRange(new FileInfo(file + ".1").Length, 1001, 2000);
        // No place to put it: it is cut all the same.
        File.Delete(file + ".1");
        Directory.CreateDirectory(file + ".1");
        for (var i = 0; i < 20; i++) Write(Line(i));
        refusals.Look();
        Assert.Equal(520, told);
    }
}
