using System.Net;
using Evenkeel.Core.Model;
using Evenkeel.Services.PostgreSql;
using Xunit;

namespace Evenkeel.Tests.Services.PostgreSql;

/// <summary>What we write for PostgreSQL to read, and what we read of it.</summary>
public sealed class TextTests
{
    private static readonly NodeName[] s_two = [new("n-1"), new("n2")];

    [Fact]
    public void SynchronousNames_OfNodes_NamesAllAndReadsBack()
    {
        var text = SynchronousNames.Text(s_two, any: null, strict: false);
        Assert.Equal("""FIRST 2 ("n-1","n2")""", text);
        Assert.Equal(new CommitWait(s_two, 2), SynchronousNames.Parse(text));
        Assert.Equal("", SynchronousNames.Text([], any: null, strict: false));
        Assert.Equal("FIRST 1 (evenkeel_nobody)", SynchronousNames.Text([], any: null, strict: true));
        Assert.Equal("FIRST 1 (evenkeel_nobody)", SynchronousNames.Text(s_two, any: 0, strict: true));
    }

    [Fact]
    public void SynchronousNames_OfAQuorum_SaysAnyAndReadsBack()
    {
        var text = SynchronousNames.Text(s_two, any: 1, strict: true);
        Assert.Equal("""ANY 1 ("n-1","n2")""", text);
        Assert.Equal(new CommitWait(s_two, 1), SynchronousNames.Parse(text));
    }

    [Theory, InlineData(""), InlineData("FIRST 1 (evenkeel_nobody)"), InlineData("""FIRST 1 ("a","b")"""), InlineData("""ANY 2 ("a","b")"""), InlineData("""ANY 0 ("a","b")"""), InlineData("*")]
    public void SynchronousNames_ThatPromiseLess_AreNobody(string text) => Assert.Empty(SynchronousNames.Parse(text).Nodes);

    [Theory]
    [InlineData("listen_addresses", "*"), InlineData("PORT", "1"), InlineData("primary_conninfo", "x"), InlineData("synchronous_standby_names", "*")]
    [InlineData("wal_level", "minimal"), InlineData("hot_standby", "off"), InlineData("fsync", "off"), InlineData("synchronous_commit", "remote_write")]
    [InlineData("synchronous_commit", "off"), InlineData("wal_log_hints", "0"), InlineData("a b", "1"), InlineData("work_mem", "1\nport=3")]
    public void Parameters_ThatReplicationDependsOn_AreRefused(string name, string value) => Assert.NotNull(PostgreSqlParameters.WhyRefused(name, value));

    [Theory]
    [InlineData("work_mem", "64MB"), InlineData("wal_level", "logical"), InlineData("synchronous_commit", "remote_apply"), InlineData("pg_stat_statements.max", "1000"), InlineData("max_wal_senders", "20")]
    public void Parameters_OfTheUser_AreTaken(string name, string value) => Assert.Null(PostgreSqlParameters.WhyRefused(name, value));

    [Fact]
    public void Main_UsersParameters_WinOverOursProposedAndLoseToWhatMustBe()
    {
        var lines = ServerConfiguration.Main(new Dictionary<string, string> { ["wal_keep_size"] = "1GB", ["search_path"] = @"it's \ here" }, "/d", null).Split('\n').ToList();
        Assert.True(lines.IndexOf("wal_keep_size = '256MB'") < lines.IndexOf("wal_keep_size = '1GB'"));
        Assert.True(lines.IndexOf("wal_keep_size = '1GB'") < lines.IndexOf("wal_log_hints = 'on'"));
        Assert.Contains(@"search_path = 'it''s \\ here'", lines);
        Assert.Equal("include 'evenkeel.replication.conf'", lines[^2]);
    }

    [Fact]
    public void HostAccess_WithCertificates_LetsNobodyElseReplicateAndThenTheUsersLinesIn()
    {
        var lines = HostAccess.Text([IPAddress.Parse("10.0.0.1"), IPAddress.Parse("fd00::2")], certificates: true, ["host all all all trust"]).Split('\n');
        Assert.Contains("hostssl replication evenkeel_replication 10.0.0.1/32 cert map=evenkeel", lines);
        Assert.Contains("hostssl postgres evenkeel_replication fd00::2/128 cert map=evenkeel", lines);
        Assert.True(Array.IndexOf(lines, "host replication evenkeel_replication all reject") < Array.IndexOf(lines, "host all all all trust"));
        Assert.DoesNotContain(lines, line => line.Contains("evenkeel_replication", StringComparison.Ordinal) && line.Contains("trust", StringComparison.Ordinal));
    }

    [Fact]
    public void EndOthers_NamesTheNodesAddresses() =>
        Assert.EndsWith("NOT client_addr <<= ANY ('{10.0.0.1/32,fd00::2/128}'::inet[])", HostAccess.EndOthers([IPAddress.Parse("10.0.0.1"), IPAddress.Parse("fd00::2")]), StringComparison.Ordinal);

    [Fact]
    public void HostAccess_WithoutLinesOfTheUser_AsksForPasswords() =>
        Assert.Contains("host all all all scram-sha-256", HostAccess.Text([], certificates: false, []), StringComparison.Ordinal);

    [Fact]
    public void SlotName_OfAnyNode_IsWhatPostgreSqlTakes()
    {
        Assert.Equal("evenkeel_db_1", SlotName.Of(new NodeName("db-1")));
        var (one, other) = (SlotName.Of(new NodeName(new string('a', 62) + "1")), SlotName.Of(new NodeName(new string('a', 62) + "2")));
        Assert.Equal(63, one.Length);
        Assert.NotEqual(one, other);
    }

    [Fact]
    public void WalPosition_Texts_ReadAndWriteAsPostgreSqlDoes()
    {
        Assert.Equal(0x16_B374D848, WalPosition.Parse("16/B374D848"));
        Assert.Equal("16/B374D848", WalPosition.Text(0x16_B374D848));
        // pg_walfile_name('16/B374D848') with segments of 16 MiB.
        Assert.Equal(WalPosition.Segment(0x16_B374D848, 16 << 20), WalPosition.SegmentOf("0000000100000016000000B3", 16 << 20));
        Assert.Null(WalPosition.SegmentOf("00000002.history", 16 << 20));
    }
}
