using System.Net;
using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using Evenkeel.Agent.Host;
using Evenkeel.Agent.Setup;
using Evenkeel.Core.Model;
using Evenkeel.PrivateConnection.Certificates;

namespace Evenkeel.Agent.Enrolment;

/// <summary>Enrolment failed on the way; nothing was written. A token that was sent is used up.</summary>
public sealed class EnrolmentFailedException(string message) : Exception(message);

/// <summary>It failed after the token was sent: that is used up.</summary>
public sealed class TokenSpentException(string message, Exception inner) : Exception(message, inner);

/// <summary>
/// A server that wants to be a node. It believes nobody before it has seen an authority with the hash that its operator brought,
/// and shows its token only to a node that this authority signed.
/// </summary>
public static class Applicant
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(15);
    private const int LargestAnswer = 8 << 20;

    /// <summary>Enrols this server and writes its state directory.</summary>
    /// <param name="from">A node that has the authority's key, on the private connection.</param>
    /// <param name="authorityHash">As <see cref="AuthorityHash"/> writes it.</param>
    /// <param name="publicInterface">Null: the interface that has the node's public address now.</param>
    /// <exception cref="SetupRefusedException">The token, the authority or this server is not the right one.</exception>
    /// <exception cref="EnrolmentFailedException">Nobody answers there, or not as expected.</exception>
    /// <exception cref="IOException">The state directory cannot be looked at; the token was not sent.</exception>
    /// <exception cref="TokenSpentException">The state directory cannot be written.</exception>
    public static async Task<AgentConfiguration> JoinAsync(
        NodeName node, IPEndPoint from, string token, string authorityHash, string stateDirectory, string? publicInterface, CancellationToken cancellation)
    {
        // Before the token is spent.
        NodeSetup.CheckEmpty(stateDirectory);
        using var authority = await FetchAuthorityAsync(from, authorityHash, cancellation).ConfigureAwait(false);
        using var key = new NodeRequest();
        var answer = await EnrolAsync(from, authority, new EnrolmentRequest(node, token, key.ToPem()), cancellation).ConfigureAwait(false);
        return Keep(() => NodeSetup.CreateEnrolled(answer, directory => Save(key, authority, answer, directory), stateDirectory, publicInterface));
    }

    /// <summary>Gives a server that is the node already a new certificate, by a token: its old one has ended, was revoked, or is of an authority that is no more.</summary>
    /// <param name="tlsDirectory">Where its certificate is.</param>
    /// <exception cref="SetupRefusedException">The token or the authority is not the right one.</exception>
    /// <exception cref="EnrolmentFailedException">Nobody answers there, or not as expected.</exception>
    /// <exception cref="TokenSpentException">It cannot be written.</exception>
    public static async Task RenewAsync(NodeName node, IPEndPoint from, string token, string authorityHash, string tlsDirectory, CancellationToken cancellation)
    {
        using var authority = await FetchAuthorityAsync(from, authorityHash, cancellation).ConfigureAwait(false);
        using var key = new NodeRequest();
        var answer = await EnrolAsync(from, authority, new EnrolmentRequest(node, token, key.ToPem()), cancellation).ConfigureAwait(false);
        _ = Keep(() =>
        {
            Save(key, authority, answer, tlsDirectory);
            return true;
        });
    }

    private static T Keep<T>(Func<T> write)
    {
        try
        {
            return write();
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new TokenSpentException(exception.Message, exception);
        }
    }

    // What the authority's own node says that nodes trust beside it, while it takes another's place.
    private static void Save(NodeRequest key, X509Certificate2 authority, EnrolmentAnswer answer, string directory)
    {
        var own = authority.ExportCertificatePem() + "\n";
        key.Save(string.Concat(answer.Authorities.Contains(own) ? answer.Authorities : [own, .. answer.Authorities]), answer.Certificate, directory);
    }

    private static async Task<X509Certificate2> FetchAuthorityAsync(IPEndPoint from, string hash, CancellationToken cancellation)
    {
        X509Certificate2? shown = null;
        // Believed for the question which authority it belongs to, and for nothing else.
        using var http = Client(from, (certificate, _) => { shown = X509CertificateLoader.LoadCertificate(certificate.GetRawCertData()); return true; });
        var pem = await AskAsync(http, from, new HttpRequestMessage(HttpMethod.Get, EnrolmentRoutes.Authority), cancellation).ConfigureAwait(false);
        X509Certificate2 authority;
        try
        {
            authority = X509Certificate2.CreateFromPem(System.Text.Encoding.ASCII.GetString(pem));
        }
        catch (CryptographicException exception)
        {
            throw new EnrolmentFailedException($"{from} answered with no certificate: {exception.Message}");
        }

        using var server = shown;
        if (AuthorityHash.Of(authority) != hash || server is null || !AuthorityHash.HasSigned(authority, server))
        {
            var found = AuthorityHash.Of(authority);
            authority.Dispose();
            throw new SetupRefusedException($"{from} belongs to another cluster, or somebody sits in between: its authority is {found}",
                "Take the line anew from 'evenkeel token' on the first node; the token was not shown to anybody");
        }

        return authority;
    }

    private static async Task<EnrolmentAnswer> EnrolAsync(IPEndPoint from, X509Certificate2 authority, EnrolmentRequest request, CancellationToken cancellation)
    {
        using var http = Client(from, (certificate, _) =>
        {
            using var shown = X509CertificateLoader.LoadCertificate(certificate.GetRawCertData());
            return AuthorityHash.HasSigned(authority, shown);
        });
        var body = await AskAsync(http, from, new HttpRequestMessage(HttpMethod.Post, EnrolmentRoutes.Enrol)
        {
            Content = new ByteArrayContent(JsonSerializer.SerializeToUtf8Bytes(request, EnrolmentJson.Default.EnrolmentRequest)),
        }, cancellation).ConfigureAwait(false);
        try
        {
            return JsonSerializer.Deserialize(body, EnrolmentJson.Default.EnrolmentAnswer) ?? throw new JsonException("empty");
        }
        catch (JsonException exception)
        {
            throw new EnrolmentFailedException($"{from} answered with something else: {exception.Message} (another version?)");
        }
    }

    private static async Task<byte[]> AskAsync(HttpClient http, IPEndPoint from, HttpRequestMessage request, CancellationToken cancellation)
    {
        try
        {
            using var asked = request;
            using var answer = await http.SendAsync(asked, cancellation).ConfigureAwait(false);
            if (answer.StatusCode == HttpStatusCode.Forbidden)
            {
                throw new SetupRefusedException($"{from} refused: the token is not (or no longer) good, or not for this node",
                    "Its agent's log and 'evenkeel audit' there say why; make a new one with 'evenkeel token'");
            }

            return answer.IsSuccessStatusCode
                ? await answer.Content.ReadAsByteArrayAsync(cancellation).ConfigureAwait(false)
                : throw new EnrolmentFailedException($"{from} answered {(int)answer.StatusCode}");
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException or AuthenticationException
            || (exception is OperationCanceledException && !cancellation.IsCancellationRequested))
        {
            throw new EnrolmentFailedException($"{from} does not answer: {(exception.InnerException ?? exception).Message}");
        }
    }

    private static HttpClient Client(IPEndPoint from, Func<X509Certificate, X509Chain?, bool> believes) => new(new SocketsHttpHandler
    {
        UseProxy = false,
        AllowAutoRedirect = false,
        SslOptions = new SslClientAuthenticationOptions
        {
            EnabledSslProtocols = SslProtocols.Tls13,
            RemoteCertificateValidationCallback = (_, certificate, chain, _) => certificate is not null && believes(certificate, chain),
        },
    })
    {
        BaseAddress = new Uri($"https://{from}"),
        Timeout = Patience,
        MaxResponseContentBufferSize = LargestAnswer,
    };
}
