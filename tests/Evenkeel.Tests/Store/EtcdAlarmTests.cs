using Etcdserverpb;
using Evenkeel.PrivateConnection.Store.Etcd;
using Xunit;

namespace Evenkeel.Tests.Store;

/// <summary>etcd tells its alarms by the members' numbers; people know names.</summary>
public sealed class EtcdAlarmTests
{
    private static readonly Member[] s_members = [new() { ID = 7, Name = "n1" }, new() { ID = 8, Name = "n2", IsLearner = true }, new() { ID = 9 }];

    [Theory]
    [InlineData("memberID:7 alarm:NOSPACE ", "NOSPACE on n1")]
    [InlineData("memberID:8 alarm:CORRUPT", "CORRUPT on n2, a learner")]
    [InlineData("memberID:9 alarm:NOSPACE ", "NOSPACE on member 9")]
    [InlineData("memberID:255 alarm:NOSPACE ", "NOSPACE on member ff, which is none any more or not known")]
    [InlineData("etcdserver: no leader", null)]
    [InlineData("memberID:x alarm:NOSPACE", null)]
    public void Words_NameTheMember(string alarm, string? words) => Assert.Equal(words, EtcdStatus.Words(alarm, s_members));
}
