using System.Globalization;
using System.Net;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.Model;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.PrivateConnection.Certificates;
using Evenkeel.PrivateConnection.Store.Etcd;
using Xunit;

namespace Evenkeel.EndToEnd.Store;

/// <summary>A real etcd grows from one member to five, by learners, and shrinks again.</summary>
[Trait("Peer", "etcd")]
[Trait("Machine", "shared"), Trait("Turn", "1")]
public sealed class EtcdGrowthTests : IAsyncLifetime
{
    private static int s_nets = Environment.ProcessId % 200;
    private readonly string net = string.Create(CultureInfo.InvariantCulture, $"127.62.{Interlocked.Increment(ref s_nets) % 250}");
    private readonly DirectoryInfo directory = Directory.CreateTempSubdirectory("evenkeel-growth-");
    private readonly CertificateAuthority authority = CertificateAuthority.Create("shop");
    private readonly Dictionary<int, EtcdProcess> running = [];
    private readonly List<IDisposable> owned = [];
    private EtcdMembership members = null!;
    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public ValueTask InitializeAsync()
    {
        for (var i = 1; i <= 5; i++) authority.IssueNode(Member(i).Node, [Address(i)], Path.Combine(directory.FullName, $"n{i}", "tls"));
        members = MembershipOf(1);
        return ValueTask.CompletedTask;
    }

    public ValueTask DisposeAsync()
    {
        foreach (var process in running.Values)
        {
            process.Kill();
            process.Dispose();
        }

        owned.ForEach(one => one.Dispose());
        authority.Dispose();
        directory.Delete(recursive: true);
        return ValueTask.CompletedTask;
    }

    [Fact]
    public async Task Growth_FromOneToFive_VotersAreOddAtEachRest_AndALearnerCountsForNoMajority()
    {
        running[1] = EtcdProcess.Start(Member(1) with { Peers = Peers(1) });
        await JoinAsync(2);
        await RunsAsync(2);
        Assert.True(await SettleAsync(2)); // it stays a learner: two voters survive no more than one
        Assert.Equal((1, 1), await CountAsync());
        running[2].Kill();
        Assert.Equal(2, (await members.ListAsync(Cancel)).Count); // and its loss stops nobody
        running[2] = EtcdProcess.Start(Member(2));
        await RunsAsync(2);

        await JoinAsync(3); // needs the learner's place
        await SettledAsync(3);
        Assert.Equal((3, 0), await CountAsync());
        await JoinAsync(4);
        Assert.True(await SettledAsync(4));
        Assert.Equal((3, 1), await CountAsync());
        await JoinAsync(5);
        await SettledAsync(5);
        Assert.Equal((5, 0), await CountAsync());
    }

    [Fact]
    public async Task Enter_DataLost_IsRefusedUntilTheOperatorSaysSo_AndTheOldMemberIsDropped()
    {
        running[1] = EtcdProcess.Start(Member(1) with { Peers = Peers(1) });
        await JoinAsync(2);
        await JoinAsync(3);
        await SettledAsync(3);
        var before = (await members.ListAsync(Cancel)).Single(member => member.Name == "n3").Id;
        running[3].Kill();
        await GoneAsync(3);
        Directory.Delete(Member(3).DataDirectory, recursive: true);
        var said = new List<string>();
        Assert.Null(await Admission(3).EnterAsync(replaces: false, said.Add, Cancel));
        Assert.Contains("evenkeel recover --rejoin", Assert.Single(said), StringComparison.Ordinal);
        Assert.Equal((3, 0), await CountAsync());
        await JoinAsync(3, replaces: true);
        await SettledAsync(3);
        Assert.Equal((3, 0), await CountAsync());
        Assert.NotEqual(before, (await members.ListAsync(Cancel)).Single(member => member.Name == "n3").Id);
    }

    [Fact]
    public async Task Remove_ThatWouldLoseTheMajority_IsRefusedByEtcdItselfAndChangesNothing()
    {
        running[1] = EtcdProcess.Start(Member(1) with { Peers = Peers(1) });
        await JoinAsync(2);
        await JoinAsync(3);
        await SettledAsync(3);
        running[3].Kill();
        await GoneAsync(3);
        // etcd counts a peer as connected for a while after its loss, and refuses once it has noticed.
        var refusal = await Record.ExceptionAsync(async () =>
        {
            for (var limit = DateTime.UtcNow.AddSeconds(20); (await members.AnsweringAsync(Cancel)).Count > 2 && DateTime.UtcNow < limit;) { }
            await members.RemoveAsync((await members.ListAsync(Cancel)).Single(member => member.Name == "n2").Id, Cancel);
        });
        Assert.IsType<MembershipRefusedException>(refusal);
        Assert.Equal((3, 0), await CountAsync());
    }

    [Fact]
    public async Task Alarm_OfALearnerOrOfOneThatIsGone_IsSeenByName_AndAVoterTakesItBack()
    {
        running[1] = EtcdProcess.Start(Member(1) with { Peers = Peers(1) });
        await JoinAsync(2);
        await RunsAsync(2);
        var learner = (await members.ListAsync(Cancel)).Single(member => member.Learner).Id;
        var certificate = NodeCertificate.Load(Member(1).Certificates!);
        owned.Add(certificate);
        var first = new EtcdEndpoint(Member(1).Clients, Member(1).Node);
        using var link = new EtcdMemberLink(first, certificate, _ => { });
        // As etcd raises it itself, through the log.
        foreach (var member in (ulong[])[learner, 0xfeed])
            await link.Maintenance.AlarmAsync(new Etcdserverpb.AlarmRequest { Action = Etcdserverpb.AlarmRequest.Types.AlarmAction.Activate, MemberID = member, Alarm = Etcdserverpb.AlarmType.Nospace }, cancellationToken: Cancel);
        await using var store = new EtcdStore("shop", [first, new EtcdEndpoint(Member(2).Clients, Member(2).Node)], certificate, _ => { });
        var alarms = (await store.GetStatusAsync(Cancel)).Alarms;
        Assert.Contains("NOSPACE on n2, a learner", alarms);
        Assert.Contains("NOSPACE on member feed, which is none any more or not known", alarms);
        var write = new Transaction(Guid.NewGuid(), [], [new Write("small", new byte[1])]);
        Assert.NotEqual(CommitOutcome.Committed, (await store.CommitAsync(write, Cancel)).Outcome);

        using var upkeep = new EtcdMaintenance(first, certificate, Member(1).QuotaBytes, _ => { });
        var stranded = await upkeep.StrandedAsync(members, Cancel);
        Assert.Equal(new[] { learner, 0xfeedUL }.Order(), stranded.Order());
        foreach (var member in stranded) await upkeep.TakeBackAsync(member, Cancel);
        Assert.Empty(await upkeep.StrandedAsync(members, Cancel));
        Assert.Equal(CommitOutcome.Committed, (await store.CommitAsync(write with { RequestId = Guid.NewGuid() }, Cancel)).Outcome);
        Assert.DoesNotContain((await store.GetStatusAsync(Cancel)).Alarms, alarm => alarm.Contains("NOSPACE", StringComparison.Ordinal));
    }

    private IPAddress Address(int i) => IPAddress.Parse(string.Create(CultureInfo.InvariantCulture, $"{net}.{i}"));
    private Dictionary<NodeName, PrivateEndpoint> Peers(params int[] numbers) => numbers.ToDictionary(i => new NodeName($"n{i}"), i => new PrivateEndpoint(Address(i), 2380));
    private EtcdMembership MembershipOf(int i)
    {
        var certificate = NodeCertificate.Load(Member(i).Certificates!);
        owned.Add(certificate);
        var made = new EtcdMembership(Enumerable.Range(1, 5).OrderBy(other => other == i).Select(other => new EtcdEndpoint(Member(other).Clients, Member(other).Node)), certificate, _ => { });
        owned.Add(made);
        return made;
    }

    private EtcdAdmission Admission(int i) => new(MembershipOf(i), Member(i).Node, new PrivateEndpoint(Address(i), 2380));
    private Task<bool> SettleAsync(int i) => Admission(i).SettleAsync(_ => { }, Cancel);

    private EtcdMember Member(int i) => new()
    {
        Node = new NodeName($"n{i}"),
        StateDirectory = Path.Combine(directory.FullName, $"n{i}"),
        Clients = new PrivateEndpoint(Address(i), 2379),
        Peers = Peers(i),
        Certificates = Path.Combine(directory.FullName, $"n{i}", "tls"),
        Heartbeat = TimeSpan.FromMilliseconds(100), // a busy build machine, not a LAN of idle ones
        Election = TimeSpan.FromMilliseconds(500),
    };

    /// <summary>As the agent does: again until the others let it in.</summary>
    private async Task JoinAsync(int i, bool replaces = false)
    {
        var last = "";
        for (var limit = DateTime.UtcNow.AddSeconds(30); DateTime.UtcNow < limit;)
        {
            if (await Admission(i).EnterAsync(replaces, said => last = said, Cancel) is { } list)
            {
                running[i] = EtcdProcess.Start(Member(i) with
                {
                    Joins = true, Peers = list.ToDictionary(one => new NodeName("n" + new Uri(one.Peer).Host.Split('.')[3]), one => new PrivateEndpoint(IPAddress.Parse(new Uri(one.Peer).Host), 2380)),
                });
                return;
            }
        }

        Assert.Fail($"n{i} could not join: {last}");
    }

    private async Task<bool> SettledAsync(int i)
    {
        var last = "";
        for (var limit = DateTime.UtcNow.AddSeconds(30); DateTime.UtcNow < limit;)
        {
            if (await Admission(i).SettleAsync(said => last = said, Cancel)) return true;
        }

        Assert.Fail($"n{i} was not promoted: {last}; {running[i].LastWords()}");
        return false;
    }

    private async Task RunsAsync(int i)
    {
        for (var limit = DateTime.UtcNow.AddSeconds(20); !(await members.ListAsync(Cancel)).Any(member => member.Name == $"n{i}");)
            Assert.True(DateTime.UtcNow < limit, running[i].LastWords());
    }

    private async Task GoneAsync(int i)
    {
        while (!running[i].HasExited) await Task.Yield();
        File.Delete(Member(i).PidFile);
    }

    private async Task<(int Voters, int Learners)> CountAsync()
    {
        var list = await members.ListAsync(Cancel);
        return (list.Count(member => !member.Learner), list.Count(member => member.Learner));
    }
}
