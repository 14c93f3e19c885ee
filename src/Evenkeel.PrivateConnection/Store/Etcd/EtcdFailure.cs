using Grpc.Core;

namespace Evenkeel.PrivateConnection.Store.Etcd;

/// <summary>What a failed call says about the transaction that it carried.</summary>
internal enum EtcdFailure
{
    /// <summary>It never entered the log; another member, or the same one a moment later, may take it.</summary>
    NotSent,
    /// <summary>Refused for what it is (too large, not allowed): refused everywhere. Not applied.</summary>
    Refused,
    /// <summary>Out of space. Either it was never proposed, or it met the limit when it was applied: then etcd applies it and
    /// answers with this error all the same (quotaApplierV3, server/etcdserver/apply). The request id tells.</summary>
    Full,
    /// <summary>It may have been, or may still be, applied.</summary>
    Unknown,
}

/// <summary>
/// Reads etcd's errors (server/etcdserver/api/v3rpc/rpctypes/error.go). Only what is listed as certain counts as certain.
/// </summary>
internal static class EtcdFailures
{
    public static EtcdFailure Classify(RpcException exception) => exception.StatusCode switch
    {
        // Before the proposal, of the member that was asked; others take it ('unavailable' in 3.4, 'failed precondition' later).
        _ when IsFromLearner(exception) => EtcdFailure.NotSent,
        // Checked before the proposal, or at apply time with the whole transaction left out.
        StatusCode.InvalidArgument or StatusCode.PermissionDenied or StatusCode.Unauthenticated or StatusCode.Unimplemented => EtcdFailure.Refused,
        StatusCode.ResourceExhausted when Says(exception, "database space exceeded") => EtcdFailure.Full,
        StatusCode.ResourceExhausted when Says(exception, "too many requests") => EtcdFailure.NotSent,
        // A member without a leader, or one that is not ready, does not propose. ('Server stopped' can come after a proposal.)
        StatusCode.Unavailable when Says(exception, "etcdserver: no leader") || Says(exception, "etcdserver: not capable") => EtcdFailure.NotSent,
        StatusCode.Unknown when Says(exception, "raft proposal dropped") => EtcdFailure.NotSent,
        StatusCode.Unavailable or StatusCode.Internal when NeverConnected(exception.Status.DebugException) => EtcdFailure.NotSent,
        _ => EtcdFailure.Unknown,
    };

    /// <summary>The member asked is a learner, which answers next to nothing.</summary>
    public static bool IsFromLearner(RpcException exception) => Says(exception, "rpc not supported for learner");

    public static string Describe(RpcException exception) =>
        exception.StatusCode == StatusCode.DeadlineExceeded ? "no answer in time" : exception.Status.Detail;

    private static bool Says(RpcException exception, string words) => exception.Status.Detail.Contains(words, StringComparison.Ordinal);

    private static bool NeverConnected(Exception? exception)
    {
        for (; exception is not null; exception = exception.InnerException)
        {
            if (exception is HttpRequestException
                {
                    HttpRequestError: HttpRequestError.ConnectionError or HttpRequestError.SecureConnectionError or HttpRequestError.NameResolutionError,
                })
            {
                return true;
            }
        }

        return false;
    }
}
