using System.Text.Json;
using Evenkeel.Agent.Control;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;

namespace Evenkeel.Agent.Enrolment;

/// <summary>Where <c>evenkeel token</c> asks for one.</summary>
internal sealed class TokenEndpoint(EnrolmentOffice office)
{
    public void Map(WebApplication application) => application.MapPost(ControlRoutes.Tokens, (RequestDelegate)(http =>
        ControlEndpoints.Receive(http, ControlJson.Default.TokenOrder, order => ControlEndpoints.Send(http, Issue(order), ControlJson.Default.NewToken))));

    private Answer<NewToken> Issue(TokenOrder order) => office.CanSign ? office.Issue(order) : new Problem(ProblemKind.Refused,
        "this node has not the key of the cluster's certificate authority", "'evenkeel ca status' says which node has it: ask there (at first the one that 'evenkeel init' was run on)");
}
