using Etcdserverpb;
using Evenkeel.Core.Loop.Ports;
using Evenkeel.Core.PrivateConnection;
using Evenkeel.PrivateConnection.Certificates;
using Grpc.Core;

namespace Evenkeel.PrivateConnection.Store.Etcd;

/// <param name="Name">The node; empty until the member has run once.</param>
/// <param name="Peer">Where its peers reach it, as a URL.</param>
/// <param name="Learner">It receives every entry and votes on none.</param>
public sealed record ListedMember(ulong Id, string Name, string Peer, bool Learner)
{
    public bool HasRun => Name.Length > 0;
}

/// <summary>etcd refused a change of its members for what it is; nothing was changed.</summary>
public sealed class MembershipRefusedException(string message) : Exception(message);

/// <summary>
/// Who the members of an etcd are, and changes of that: one at a time, each committed by the majority before it. etcd itself
/// refuses (<c>--strict-reconfig-check</c>) what would leave fewer started members than a majority.
/// </summary>
public sealed class EtcdMembership : IDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(2);
    private readonly string _scheme;
    private readonly List<EtcdMemberLink> _links;

    /// <param name="endpoints">Members to ask, in this order; those that are not there (yet) are passed over.</param>
    public EtcdMembership(IEnumerable<EtcdEndpoint> endpoints, NodeCertificate? certificate, Action<string> log)
    {
        _scheme = certificate is null ? "http" : "https";
        _links = [.. endpoints.Select(endpoint => new EtcdMemberLink(endpoint, certificate, log))];
    }

    public string UrlOf(PrivateEndpoint peer) => $"{_scheme}://{peer}";

    /// <summary>Read through the majority where etcd does so (3.5 and later); a leader's own list before.</summary>
    /// <exception cref="StoreUnavailableException">No member that votes answers, or there is no majority.</exception>
    public async Task<IReadOnlyList<ListedMember>> ListAsync(CancellationToken cancellation) =>
        Listed((await AskAsync((link, options) => link.Cluster.MemberListAsync(new MemberListRequest(), options), cancellation, changes: false).ConfigureAwait(false)).Members);

    /// <exception cref="MembershipRefusedException">There is a learner already, or too few members are up to date.</exception>
    /// <exception cref="StoreUnavailableException">No answer: it may be done or not; list again.</exception>
    public async Task<IReadOnlyList<ListedMember>> AddLearnerAsync(PrivateEndpoint peer, CancellationToken cancellation)
    {
        var request = new MemberAddRequest { IsLearner = true };
        request.PeerURLs.Add(UrlOf(peer));
        return Listed((await AskAsync((link, options) => link.Cluster.MemberAddAsync(request, options), cancellation).ConfigureAwait(false)).Members);
    }

    /// <exception cref="MembershipRefusedException">It is not in step with the leader yet, or is no learner.</exception>
    /// <exception cref="StoreUnavailableException">No answer: it may be done or not; list again.</exception>
    public Task PromoteAsync(ulong member, CancellationToken cancellation) =>
        AskAsync((link, options) => link.Cluster.MemberPromoteAsync(new MemberPromoteRequest { ID = member }, options), cancellation);

    /// <exception cref="MembershipRefusedException">Too few of the others run.</exception>
    /// <exception cref="StoreUnavailableException">No answer: it may be done or not; list again.</exception>
    public Task RemoveAsync(ulong member, CancellationToken cancellation) =>
        AskAsync((link, options) => link.Cluster.MemberRemoveAsync(new MemberRemoveRequest { ID = member }, options), cancellation);

    /// <summary>The members that answer at their address now, learners among them.</summary>
    public async Task<IReadOnlySet<ulong>> AnsweringAsync(CancellationToken cancellation)
    {
        var asked = _links.Select(async link =>
        {
            try
            {
                return (await link.Maintenance.StatusAsync(new StatusRequest(), Options(cancellation)).ConfigureAwait(false)).Header.MemberId;
            }
            catch (RpcException)
            {
                return 0UL;
            }
        });
        return (await Task.WhenAll(asked).ConfigureAwait(false)).Where(id => id != 0).ToHashSet();
    }

    public void Dispose()
    {
        foreach (var link in _links)
        {
            link.Dispose();
        }
    }

    private async Task<T> AskAsync<T>(Func<EtcdMemberLink, CallOptions, AsyncUnaryCall<T>> call, CancellationToken cancellation, bool changes = true)
    {
        var reasons = new List<string>();
        foreach (var link in _links)
        {
            try
            {
                return await call(link, Options(cancellation)).ConfigureAwait(false);
            }
            catch (RpcException exception)
            {
                cancellation.ThrowIfCancellationRequested();
                var reason = $"etcd at {link.Endpoint.Address}: {EtcdFailures.Describe(exception)}";
                if (IsRefusal(exception))
                {
                    throw new MembershipRefusedException(reason);
                }

                reasons.Add(reason);
                // A change that may be under way is not asked for a second time: the caller lists the members first.
                if (changes && EtcdFailures.Classify(exception) == EtcdFailure.Unknown)
                {
                    break;
                }
            }
        }

        throw new StoreUnavailableException(string.Join("; ", reasons));
    }

    // rpctypes/error.go. 'Unavailable' is also how etcd 3.4 says that an unhealthy cluster may not be reconfigured.
    private static bool IsRefusal(RpcException exception) => exception.StatusCode is StatusCode.FailedPrecondition or StatusCode.InvalidArgument or StatusCode.NotFound
        ? !EtcdFailures.IsFromLearner(exception)
        : exception.StatusCode == StatusCode.Unavailable && exception.Status.Detail.Contains("unhealthy cluster", StringComparison.Ordinal);

    private static CallOptions Options(CancellationToken cancellation) => new(deadline: DateTime.UtcNow + Limit, cancellationToken: cancellation);

    private static IReadOnlyList<ListedMember> Listed(IEnumerable<Member> members) =>
        [.. members.Select(member => new ListedMember(member.ID, member.Name, member.PeerURLs.FirstOrDefault() ?? "", member.IsLearner))];
}
