using Evenkeel.Core.PrivateConnection;
using Xunit;

namespace Evenkeel.Tests.PrivateConnection;

public sealed class GrpcHealthTests
{
    [Theory]
    [InlineData("", "0000000000")]
    [InlineData("shop", "00000000060A0473686F70")]
    public void Request_IsFramedAsGrpcDoes(string service, string hex) => Assert.Equal(hex, Convert.ToHexString(GrpcHealth.Request(service)));

    [Theory]
    [InlineData("00000000020801", 1)]
    [InlineData("00000000020802", 2)]
    [InlineData("0000000000", 0)]
    [InlineData("000000000208", -1)]
    [InlineData("01000000020801", -1)]
    [InlineData("00000000021001", -1)]
    [InlineData("000000", -1)]
    [InlineData("", -1)]
    public void ServingStatus_OfAFramedAnswer_IsFieldOne(string hex, int status) => Assert.Equal(status, GrpcHealth.ServingStatus(Convert.FromHexString(hex)));
}
